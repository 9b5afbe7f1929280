# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Our files, of which there are many, loaded quickly from the zip in which Ansible sends a module.

Python compiles at every start what it imports from a zip, and that is most of what loading takes. So what is compiled is kept
on the host, a file for each of ours. Python keeps it beside sources that are in no zip, and tells by a source's time and size
whether it is of that one. The zip has been made for this call: what tells here is the size and the CRC that its directory has of
each file, so that a source need not even be unpacked. What is kept has a hash of its own, too, since Python does not survive what
is broken. Where there is none, or it is of another source, of another Python, or broken, ours is compiled.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import importlib.machinery
import importlib.util
import marshal
import os
import stat
import struct
import sys
import types
import typing as t
import zipimport

# For what can be made anew, see hier(7). PYTHONDONTWRITEBYTECODE keeps folders of sources clean; this is none.
DIRECTORY = "/var/cache/nomadic-lxc"
_HASH = 8
# Where they are in what zipimport has of a file: its _read_directory.
_SIZE, _CRC = 3, 7


class _Zip(zipimport.zipimporter):
    """Loads what is in a zip."""

    def find_spec(self, fullname: str, target: t.Any = None) -> importlib.machinery.ModuleSpec | None:
        """Where one of our files is, without what Python's own does for it: that compiles the file to find out (zipimport.py)."""
        if self._entry(fullname) is None:
            return None
        spec = importlib.machinery.ModuleSpec(fullname, t.cast("t.Any", self), origin=self._path(fullname))
        spec.has_location = True
        return spec

    def create_module(self, spec: t.Any) -> None:
        """As Python makes it. That of 3.9 asks for code only where there is this, and the next."""

    def exec_module(self, module: types.ModuleType) -> None:
        """Run a file."""
        exec(self.get_code(module.__name__), module.__dict__)  # noqa: S102 # pylint: disable=exec-used # as importlib does

    def get_code(self, fullname: str) -> t.Any:
        """A file's code."""
        entry = self._entry(fullname)
        header = importlib.util.MAGIC_NUMBER + struct.pack("<II", entry[_SIZE], entry[_CRC])
        file = os.path.join(DIRECTORY, f"{_name(fullname)}.{sys.implementation.cache_tag}.code")
        dumped = _kept(file, header)
        if dumped is not None:
            return marshal.loads(dumped)
        # The zip has another path each time.
        code = compile(
            self.get_data(self._path(fullname)), f"{fullname.replace('.', '/')}.py", "exec", dont_inherit=True
        )
        dumped = marshal.dumps(code)
        _keep(file, header + importlib.util.source_hash(dumped) + dumped)
        return code

    def _entry(self, fullname: str) -> t.Any:
        """What the zip's directory has of a file; None where that is not there."""
        # Its docstring names this one.
        directory: t.Mapping[str, t.Any] = vars(zipimport)["_zip_directory_cache"][self.archive]
        return directory.get(self._inside(fullname))

    def _path(self, fullname: str) -> str:
        return os.path.join(self.archive, self._inside(fullname))

    def _inside(self, fullname: str) -> str:
        """A file's path in the zip."""
        return f"{self.prefix}{_name(fullname)}.py"


def _name(fullname: str) -> str:
    return fullname.rpartition(".")[2]


@functools.cache
def _is_ours(directory: str) -> bool:
    """Whether nobody but this user, who is root, could have put something there."""
    try:
        found = os.lstat(directory)
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() == 0 and not found.st_mode & 0o022


def _kept(file: str, header: bytes) -> bytes | None:
    """What was compiled of that source by such a Python."""
    if sys.flags.optimize or not _is_ours(os.path.dirname(file)):
        return None
    try:
        with open(file, "rb", buffering=0) as opened:
            kept = opened.read()
    except OSError:
        return None
    dumped = kept[len(header) + _HASH :]
    return dumped if kept.startswith(header + importlib.util.source_hash(dumped)) else None


def _keep(file: str, kept: bytes) -> None:
    """Keep it for the next start, if that can be. Another call may do the same; what comes of both at once is whole, or no use."""
    if sys.flags.optimize or os.geteuid() != 0:
        return
    directory, draft = os.path.dirname(file), f"{file}.new"
    with contextlib.suppress(OSError):
        if not os.path.lexists(directory):
            os.makedirs(directory, mode=0o700)
            _is_ours.cache_clear()
        if not _is_ours(directory):
            return
        # As _tree writes a file, which is loaded by this one; but of two that write at once neither waits, and one may lose.
        try:
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with open(descriptor, "wb") as opened:
                opened.write(kept)
            os.rename(draft, file)
        except OSError:
            os.unlink(draft)


def _use() -> None:
    """Have what a module imports after this file loaded so. Python does not look for garbage meanwhile: there is none."""
    package = sys.modules[__name__.rpartition(".")[0]]
    if isinstance(getattr(sys.modules[__name__].__spec__, "loader", None), zipimport.zipimporter):
        sys.path_importer_cache.update((place, _Zip(place)) for place in package.__path__)
        gc.disable()


def loaded() -> None:
    """What a module needs is there, and stays until it ends."""
    gc.freeze()
    gc.enable()
    # The process ends, and all with it: no need to find out what of it nobody has any more.
    atexit.register(gc.freeze)


_use()
