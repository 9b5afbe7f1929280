# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What liblxc is not asked for, and what is not told of a start."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.nomadic.lxc.plugins.module_utils import _child, _liblxc, _runtime, _starter


def test_a_container_that_is_gone_is_never_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """liblxc would take the host's root for its own, and run the host's init there."""
    monkeypatch.setattr(_starter, "start", lambda *_words, **_limits: pytest.fail("liblxc was asked"))
    (tmp_path / "web").mkdir()
    with pytest.raises(_liblxc.RuntimeFailure, match="web did not start: it is gone"):
        _runtime.Runtime(str(tmp_path)).start("web", None, "error")


def test_no_word_of_a_start_shows_what_is_hidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = f"hunter2 is no option\n{_starter.ENDED}"
    monkeypatch.setattr(_starter, "start", lambda *_words, **_limits: _child.Finished(ok=False, output=words))
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "config").touch()
    with pytest.raises(_liblxc.RuntimeFailure, match=_starter.ENDED) as caught:
        _runtime.Runtime(str(tmp_path), hidden=["hunter2"]).start("web", None, "error")
    assert "hunter2" not in str(caught.value)
