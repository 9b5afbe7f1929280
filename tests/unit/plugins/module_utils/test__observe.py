# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is looked at before something is removed. Real directories."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.nomadic.lxc.plugins.module_utils import _names, _observe, _tree
from ansible_collections.nomadic.lxc.tests.unit.plugins.module_utils.builders import record_of, task


@pytest.mark.parametrize(("count", "has"), [(None, False), ("", False), ("0", False), ("1", True), ("12\n", True)])
def test_containers_that_stand_on_it_are_counted_by_liblxc(tmp_path: Path, count: str | None, has: bool) -> None:
    if count is not None:
        (tmp_path / "lxc_snapshots").write_text(count, encoding="ascii")
    assert _observe._has_snapshots(str(tmp_path)) is has


def test_snapshots_are_in_its_directory(tmp_path: Path) -> None:
    (tmp_path / "snaps").mkdir()
    assert not _observe._has_snapshots(str(tmp_path))
    (tmp_path / "snaps" / "snap0").mkdir()
    assert _observe._has_snapshots(str(tmp_path))


def test_the_mark_of_a_container_that_is_made_is_of_one_directory(tmp_path: Path) -> None:
    mark = Path(_names.making_mark(str(tmp_path), "web"))
    web = tmp_path / "web"
    assert not _observe._is_marked(str(tmp_path), "web", str(web))
    mark.parent.mkdir()
    web.mkdir()
    mark.write_text(_tree.identity(str(web)), encoding="ascii")
    assert _observe._is_marked(str(tmp_path), "web", str(web))
    web.rename(tmp_path / "gone")
    assert _observe._is_marked(str(tmp_path), "web", str(web))
    web.mkdir()
    assert not _observe._is_marked(str(tmp_path), "web", str(web))


def test_where_secrets_are_by_the_record(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    former = task(alloc_dir=str(old))
    record = record_of(former)
    assert _observe._former_secrets(former, record) is None
    asked = task(alloc_dir=str(new))
    assert _observe._former_secrets(asked, record) == f"{old}/_web/web/secrets"
    assert _observe._former_secrets(asked, None) is None
    # The same directory by another name.
    new.symlink_to(old)
    assert _observe._former_secrets(asked, record) is None
