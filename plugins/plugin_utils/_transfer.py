# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files into a container and out of it, piece by piece, so that none is held in memory whole. Each piece is one command.

The result of a piece is checked by its exit code and by the size that the file has then.
"""

from __future__ import annotations

import errno
import os
import stat
import typing as t

from ansible_collections.nomadic.lxc.plugins.plugin_utils import _attach

# Bytes of a piece. Ansible's ssh plugin copies all the output that it has whenever more arrives: a piece that comes is smaller.
PUT_SIZE = 16 * _attach.BLOCK
FETCH_BLOCKS = 4
FETCH_SIZE = FETCH_BLOCKS * _attach.BLOCK

# Runs a line on the container's host, with input: exit code, stdout, and what was said besides, in one line.
Run = t.Callable[[_attach.Marks, str, t.Optional[bytes]], tuple[int, bytes, str]]


class TransferError(Exception):
    """A file did not arrive whole; the message says why."""


def send(run: Run, container: _attach.Container, in_path: str, out_path: str) -> None:
    """Send a file. Raises TransferError; OSError where the file here can't be read."""
    with open(in_path, "rb") as file:
        mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o777
        sent = 0
        while True:
            piece = file.read(PUT_SIZE)
            if piece or sent == 0:
                _send_piece(run, container, piece, out_path, mode, sent)
                sent += len(piece)
            if len(piece) < PUT_SIZE:
                return


def _send_piece(run: Run, container: _attach.Container, piece: bytes, path: str, mode: int, there: int) -> None:
    marks = _attach.Marks()
    line = _attach.put_line(container, marks, path, mode, there, stdin=bool(piece))
    code, _stdout, said = run(marks, line, piece or None)
    if code != 0:
        raise TransferError(said or f"a command ended with {code}")
    if said != str(there + len(piece)):
        raise TransferError(f"{there + len(piece)} bytes were sent, and it has {said}")


def fetch(run: Run, container: _attach.Container, in_path: str, out_path: str) -> None:
    """Fetch a file. Raises TransferError, FileNotFoundError; other OSErrors where the file here can't be written."""
    size, mode, piece = _fetch_first(run, container, in_path)
    new = not os.path.exists(out_path)
    try:
        with open(out_path, "wb", opener=_private) as file:
            file.write(piece)
            got, first = len(piece), FETCH_BLOCKS
            while len(piece) == FETCH_SIZE and got <= size:
                piece = _fetch_piece(run, container, in_path, first)
                file.write(piece)
                got, first = got + len(piece), first + FETCH_BLOCKS
            if got != size:
                raise TransferError(f"it has {size} bytes, and {got} or more came: it changed meanwhile")
            if new:
                os.fchmod(file.fileno(), mode)
    except BaseException:
        if new and os.path.exists(out_path):
            os.unlink(out_path)
        raise


def _fetch_first(run: Run, container: _attach.Container, path: str) -> tuple[int, int, bytes]:
    """A file's size and mode, and its first piece."""
    head, newline, piece = _fetch_piece(run, container, path, 0).partition(b"\n")
    try:
        size, mode = head.split()
        return int(size), int(mode, 8) & 0o777, piece
    except ValueError:
        raise TransferError(f"its size and mode are unknown: {_attach.printable(repr(head + newline))}") from None


def _fetch_piece(run: Run, container: _attach.Container, path: str, first: int) -> bytes:
    marks = _attach.Marks()
    code, stdout, said = run(marks, _attach.fetch_line(container, marks, path, first, FETCH_BLOCKS), None)
    if code == _attach.NO_SUCH_FILE:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
    if code != 0:
        raise TransferError(said or f"a command ended with {code}")
    return stdout


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
