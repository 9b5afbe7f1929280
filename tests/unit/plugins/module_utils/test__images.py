# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images on a host: found sound or not, cloned, and removed when nobody stands on them. The template is a function here."""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
import typing as t
from pathlib import Path

import pytest
from ansible_collections.nomadic.lxc.plugins.module_utils import _do_image, _image, _images, _lock, _runtime, _waits
from ansible_collections.nomadic.lxc.plugins.module_utils._errors import LxcTaskError
from ansible_collections.nomadic.lxc.plugins.module_utils._image import Recipe
from ansible_collections.nomadic.lxc.plugins.module_utils._states import STOPPED

RECIPE = Recipe("x-1", {"template": "x"}, "/templates/lxc-x", ("--a",), None)


class Host:
    """A place for containers, whose template makes three files and counts its runs."""

    def __init__(self, root: Path) -> None:
        self.path = str(root / "lxc")
        self.runs = 0
        self.fails = False
        self.states: dict[str, str] = {}

    def runtime(self, lxc_path: str, *_others: t.Any) -> t.Any:
        host = self

        class Fake:
            """In the place of Runtime."""

            def __init__(self) -> None:
                self.lxc_path = lxc_path
                self.hidden: list[str] = []
                self.notes = None
                self.waits = _waits.ALONE

            def directory(self, name: str) -> str:
                return os.path.join(lxc_path, name)

            def state(self, name: str) -> tuple[str, int]:
                return host.states.get(name, STOPPED), -1

            def create(self, name: str, *_words: t.Any) -> str:
                host.runs += 1
                root = Path(lxc_path, name, "rootfs", "etc")
                root.mkdir(parents=True)
                root.parent.chmod(0o751)
                (root / "hostname").write_text(f"{name}\n", encoding="utf-8")
                (root / "hosts").write_text(f"127.0.1.1 {name}\n", encoding="utf-8")
                (root / "passwd").write_text("root\n", encoding="utf-8")
                (root / "link").symlink_to("hostname")
                Path(lxc_path, name, "config").write_text(
                    f"lxc.rootfs.path = dir:{lxc_path}/{name}/rootfs\nlxc.uts.name = {name}\n", encoding="utf-8"
                )
                if host.fails:
                    raise LxcTaskError("the template failed")
                return "printed"

        return Fake()

    def ensure(self) -> str | None:
        """As another call: what this process remembers of the image is forgotten."""
        _images._unchanged.cache_clear()
        return _do_image.ensure(RECIPE, self.runtime(self.path))

    def image(self) -> Path:
        return Path(_images.directory_of(self.path, RECIPE.id))

    def clone(self, name: str) -> Path:
        directory = Path(self.path, name)
        directory.mkdir(parents=True)
        with _do_image.held(RECIPE, self.runtime(self.path)) as manifest:
            (directory / "config").write_text(_do_image.clone(manifest, self.path, name), encoding="utf-8")
        return directory


@pytest.fixture(name="host")
def make_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    host = Host(tmp_path)
    monkeypatch.setattr(_runtime, "Runtime", host.runtime)
    monkeypatch.setattr(_lock, "DIRECTORY", str(tmp_path / "locks"))
    return host


def test_an_image_is_built_once(host: Host) -> None:
    assert _images.told(host.path) == []
    assert host.ensure() == "printed"
    assert host.ensure() is None
    assert host.runs == 1
    assert _images.image_names(host.path) == [RECIPE.id]
    manifest = _images.sound(host.path, RECIPE.id)
    assert manifest is not None
    assert manifest.named == ("etc/hostname", "etc/hosts")
    told = _images.told(host.path)
    assert [(it["id"], it["whole"], it["containers"], it["build"]) for it in told] == [
        (RECIPE.id, True, [], manifest.build)
    ]


@contextlib.contextmanager
def another(host: Host, how: int) -> t.Iterator[t.Callable[[], None]]:
    """Another call has the image's lock, until what is yielded is called."""
    file = _lock.lock_file("image", RECIPE.id, _image.images_directory(host.path))
    os.makedirs(os.path.dirname(file), mode=0o700, exist_ok=True)
    with open(file, "a", encoding="ascii") as opened:
        fcntl.flock(opened, how)
        yield opened.close


def _ensured(runtime: t.Any) -> None:
    _do_image.ensure(RECIPE, runtime)


def _held(runtime: t.Any) -> None:
    with _do_image.held(RECIPE, runtime):
        pass


@pytest.mark.parametrize("there", [False, True])
@pytest.mark.parametrize("use", [_ensured, _held])
def test_while_it_is_built_something_else_is_done(host: Host, use: t.Callable[[t.Any], None], there: bool) -> None:
    if there:
        host.ensure()
    runtime = host.runtime(host.path)
    pauses: list[float] = []
    with another(host, fcntl.LOCK_EX) as let_go:

        def pause(seconds: float) -> None:
            pauses.append(seconds)
            if len(pauses) == 3:
                let_go()

        runtime.waits = _waits.ALONE._replace(pause=pause)
        use(runtime)
    assert len(pauses) == 3
    assert host.runs == 1


@pytest.mark.parametrize("use", [_ensured, _held])
def test_who_clones_it_is_not_waited_for(host: Host, use: t.Callable[[t.Any], None]) -> None:
    host.ensure()
    runtime = host.runtime(host.path)
    runtime.waits = _waits.Waits(contextlib.nullcontext, lambda _seconds: pytest.fail("it waited"))
    with another(host, fcntl.LOCK_SH):
        use(runtime)
    assert host.runs == 1


def test_who_only_looks_is_waited_for_where_it_is_not_there(host: Host) -> None:
    with another(host, fcntl.LOCK_SH) as let_go:
        threading.Timer(0.2, let_go).start()
        assert host.ensure() == "printed"
    assert host.runs == 1


def _remove_file(image: Path) -> None:
    (image / "rootfs/etc/passwd").unlink()


def _change_file(image: Path) -> None:
    (image / "rootfs/etc/passwd").write_text("toor\n", encoding="utf-8")


def _cut_manifest(image: Path) -> None:
    (image / "image.json").write_text("{", encoding="utf-8")


def _remove_config(image: Path) -> None:
    (image / "config").unlink()


def _move_root(image: Path) -> None:
    (image / "rootfs").rename(image / "elsewhere")


def _half_build(image: Path) -> None:
    image.rename(f"{image}.new")


@pytest.mark.parametrize("damage", [_remove_file, _change_file, _cut_manifest, _remove_config, _move_root, _half_build])
def test_a_broken_image_is_built_again(host: Host, damage: t.Callable[[Path], None]) -> None:
    host.ensure()
    host.image().chmod(0o700)
    damage(host.image())
    assert _images.sound(host.path, RECIPE.id) is None
    host.clone("web")
    assert host.runs == 2
    assert _images.sound(host.path, RECIPE.id) is not None
    assert _images.image_names(host.path) == [RECIPE.id]


def test_what_a_running_task_has_of_a_broken_image_stays_until_it_ends(host: Host) -> None:
    host.ensure()
    host.clone("web")
    host.states["web"] = "running"
    _remove_file(host.image())
    host.ensure()
    assert len(_images.image_names(host.path)) == 2
    host.states["web"] = STOPPED
    _remove_file(host.image())
    host.ensure()
    assert _images.image_names(host.path) == [RECIPE.id]


def test_a_failed_build_leaves_nothing(host: Host) -> None:
    host.fails = True
    with pytest.raises(LxcTaskError, match="the template failed"):
        host.ensure()
    assert not os.path.exists(host.path)


def test_a_clone_has_its_own_name(host: Host) -> None:
    web = host.clone("web")
    delta = web / "overlay/delta"
    assert sorted(str(path.relative_to(delta)) for path in delta.rglob("*")) == ["etc", "etc/hostname", "etc/hosts"]
    assert (delta / "etc/hostname").read_text(encoding="utf-8") == "web\n"
    assert (delta / "etc/hosts").read_text(encoding="utf-8") == "127.0.1.1 web\n"
    assert delta.stat().st_mode & 0o7777 == 0o751
    assert "lxc.uts.name = web\n" in (web / "config").read_text(encoding="utf-8")
    assert (host.image() / "rootfs/etc/hostname").read_text(encoding="utf-8") == f"{RECIPE.id}\n"


def test_only_what_nobody_stands_on_is_pruned(host: Host) -> None:
    web = host.clone("web")
    assert _images.users(host.path) == {RECIPE.id: ["web"]}
    assert _do_image.prune(host.path) == []
    aside = Path(host.path, ".nomadic-lxc", "web")
    aside.parent.mkdir()
    web.rename(aside)
    assert _do_image.prune(host.path) == []
    snapshot = Path(host.path, "db", "snaps", "snap0")
    snapshot.parent.mkdir(parents=True)
    aside.rename(snapshot)
    assert _images.users(host.path) == {RECIPE.id: ["db"]}
    assert _do_image.prune(host.path) == []
    (snapshot / "config").unlink()
    Path(f"{host.image()}.new").mkdir()
    assert _do_image.unused(host.path) == [RECIPE.id, f"{RECIPE.id}.new"]
    assert _do_image.prune(host.path) == [RECIPE.id, f"{RECIPE.id}.new"]
    assert not os.path.exists(os.path.dirname(host.image()))


def test_what_would_be_unused_after_a_call(host: Host) -> None:
    host.clone("web")
    host.clone("db")
    Path(f"{host.image()}.old-1").mkdir()
    assert _do_image.unused(host.path) == [f"{RECIPE.id}.old-1"]
    assert _do_image.unused(host.path, {"web"}) == [f"{RECIPE.id}.old-1"]
    assert _do_image.unused(host.path, {"web", "db"}) == [RECIPE.id, f"{RECIPE.id}.old-1"]
    assert _do_image.unused(host.path, {"web", "db"}, {RECIPE.id}) == [f"{RECIPE.id}.old-1"]
    assert _do_image.unused(host.path, {"web", "db"}, {"another"}) == [RECIPE.id, f"{RECIPE.id}.old-1"]


def test_a_path_without_images_has_nothing_to_prune(host: Host) -> None:
    assert _do_image.prune(host.path) == []
    assert not os.path.exists(host.path)


def test_the_image_of_another_path_is_not_this_ones(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same options have the same id everywhere; of a path that is gone it can't be told whether it was this one."""
    host.ensure()
    (tmp_path / "other" / _image.DIRECTORY).mkdir(parents=True)
    (tmp_path / "link").symlink_to(host.path)
    for place, found in (("other", set()), ("lxc", {RECIPE.id}), ("link", {RECIPE.id}), ("gone", {RECIPE.id})):
        mounts = {(str(tmp_path / place), RECIPE.id)}
        monkeypatch.setattr(_image, "images_mounted", lambda _text, mounts=mounts: mounts)
        assert _images.mounted(host.path) == found
    assert _do_image.prune(host.path) == []
