# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How Sphinx builds the documentation site. `scripts/docs` runs it; the build asks nothing of the network."""

from __future__ import annotations

import atexit
import os
import tempfile
import typing as t
import zlib

project = "nomadic.lxc"
copyright = "nomadic.lxc contributors"  # pylint: disable=redefined-builtin
title = html_title = html_short_title = "nomadic.lxc"

extensions = ["sphinx.ext.intersphinx", "sphinx_antsibull_ext"]
pygments_style = "ansible"
highlight_language = "YAML+Jinja"
default_role = "any"
nitpicky = True

html_theme = "sphinx_ansible_theme"
html_context = {"display_github": False}
html_show_sphinx = False
html_use_index = False
html_copy_source = False
html_show_sourcelink = False

# The pages of Ansible's own documentation that ours refer to, by label. Sphinx would download the list of all its labels; this
# one is written where Sphinx can read it, and the links are the same.
_ANSIBLE_DOCS = "https://docs.ansible.com/projects/ansible/latest/"
_ANSIBLE_LABELS = {
    "action_plugins": "plugins/action.html",
    "ansible_collections.ansible.builtin.local_connection": "collections/ansible/builtin/local_connection.html",
    "ansible_collections.ansible.builtin.raw_module": "collections/ansible/builtin/raw_module.html",
    "ansible_collections.ansible.builtin.script_module": "collections/ansible/builtin/script_module.html",
    "ansible_collections.ansible.builtin.ssh_connection": "collections/ansible/builtin/ssh_connection.html",
    "ansible_collections.community.general.lxc_connection": "collections/community/general/lxc_connection.html",
    "ansible_collections.community.general.lxc_container_module": "collections/community/general/lxc_container_module.html",
    "ansible_configuration_settings": "reference_appendices/config.html",
    "common_return_values": "reference_appendices/common_return_values.html",
}
_ANSIBLE_VARIABLES = (
    "ANSIBLE_CACHE_PLUGIN",
    "ANSIBLE_CACHE_PLUGIN_CONNECTION",
    "ANSIBLE_CACHE_PLUGIN_PREFIX",
    "ANSIBLE_CACHE_PLUGIN_TIMEOUT",
)


def _inventory() -> str:
    """Write these labels and environment variables as an inventory of Sphinx, version 2; its path. It goes when the build ends."""
    head = "# Sphinx inventory version 2\n# Project: Ansible\n# Version:\n"
    head += "# The remainder of this file is compressed using zlib.\n"
    rows = "".join(f"{label} std:label -1 {page} {label}\n" for label, page in _ANSIBLE_LABELS.items())
    page = "reference_appendices/config.html"
    rows += "".join(f"{name} std:envvar 1 {page}#envvar-{name} -\n" for name in _ANSIBLE_VARIABLES)
    handle, path = tempfile.mkstemp(suffix=".inv")
    atexit.register(os.unlink, path)
    with os.fdopen(handle, "wb") as inventory:
        inventory.write(head.encode() + zlib.compress(rows.encode()))
    return path


intersphinx_mapping = {"ansible": (_ANSIBLE_DOCS, _inventory())}


def _home(_app: t.Any, _page: str, _template: str, context: dict[str, t.Any], _doctree: t.Any) -> None:
    """Lead the theme's link home to where the page can find it: the guides are in a folder of their own."""
    context["theme_documentation_home_url"] = context["pathto"]("index")


def setup(app: t.Any) -> None:
    """Sphinx calls this."""
    app.connect("html-page-context", _home)
