"""Discovery of server extensions: which are enabled, and which of them the extension host has to run."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import entry_points
from importlib.util import find_spec
from typing import Any

NOTEBOOK_SHIM = "notebook_shim"
SERVED = frozenset({"jupyter_server_terminals", "jupyterlab", "jupyterlab_server", "notebook", NOTEBOOK_SHIM})
"""Extensions of the Jupyter Server whose work is done here."""

JUPYTEXT = ("jupytext", "jupyterlab_jupytext")
"""What jupytext is enabled as: its contents manager is used directly, without a host."""

LANGUAGE_SERVERS = "jupyter_lsp"


def enabled(extensions: Mapping[str, bool]) -> list[str]:
    """The names of extensions that are enabled, in order."""
    return sorted(name for name, on in extensions.items() if on)


def is_installed(name: str) -> bool:
    """Whether an extension's package is there; it is not imported."""
    try:
        return find_spec(name.partition(".")[0]) is not None
    except (ImportError, ValueError):
        return False


def hosted(
    extensions: Mapping[str, bool], native: Iterable[str] = (), config: Mapping[str, Any] | None = None
) -> list[str]:
    """The extensions that the host has to run.

    JupyterLab brings and enables ``jupyter_lsp`` everywhere; it has something to do where a language server is
    installed or configured.

    :param extensions: ``jpserver_extensions``.
    :param native: those that are served in another way.
    :param config: the operator's settings.
    """
    left_out = {*SERVED, *native}
    names = [name for name in enabled(extensions) if name not in left_out and is_installed(name)]
    if LANGUAGE_SERVERS in names and not ((config or {}).get("LanguageServerManager") or has_language_servers()):
        names.remove(LANGUAGE_SERVERS)
    return names


MODULES = ("pylsp", "pyls", "jedi_language_server")
PROGRAMS = ("basedpyright-langserver", "pyrefly", "texlab")
NODE_MODULES = (
    "bash-language-server", "dockerfile-language-server-nodejs", "javascript-typescript-langserver", "pyright",
    "sql-language-server", "typescript-language-server", "unified-language-server", "vscode-css-languageserver-bin",
    "vscode-html-languageserver-bin", "vscode-json-languageserver-bin", "yaml-language-server",
)  # fmt: skip
"""The language servers that jupyter_lsp finds by itself: Python modules, programs, packages of Node."""


@cache
def has_language_servers() -> bool:
    """Whether jupyter_lsp would find a language server: one that it knows, or one that another package tells it of."""
    if any(map(is_installed, MODULES)) or any(map(shutil.which, PROGRAMS)):
        return True
    staging = os.path.join(sys.prefix, "share", "jupyter", "lab", "staging")
    roots = (os.getcwd(), staging, os.path.join(sys.prefix, "lib"))
    places = [os.path.join(root, "node_modules") for root in roots]
    if any(os.path.isdir(os.path.join(place, name)) for place in places for name in NODE_MODULES):
        return True
    found = entry_points(group="jupyter_lsp_spec_v1")
    return any(not entry.value.startswith("jupyter_lsp.") for entry in found)
