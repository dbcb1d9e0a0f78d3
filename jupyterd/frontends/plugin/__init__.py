"""Plugins that pages of JupyterLab and Notebook get from jupyterd itself: ``plugin.js``, written by hand.

A federated extension as JupyterLab loads them: a script that puts a container into ``window._JUPYTERLAB``.
"""

from __future__ import annotations

import hashlib
import os
from functools import cache
from typing import Any

NAME = "jupyterd"
"""Of the extension. It, or the id of one of its plugins (``jupyterd:outputs``), may stand in ``disabledExtensions``."""

FILE = "plugin.js"
_DIRECTORY = os.path.dirname(__file__)


@cache
def _version() -> str:
    with open(os.path.join(_DIRECTORY, FILE), "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()[:16]


def entries() -> list[dict[str, Any]]:
    """What the page configuration lists under ``federated_extensions``; reads the file once.

    The version in the query lets browsers keep the file until it is another.
    """
    return [{"name": NAME, "load": f"{FILE}?v={_version()}", "extension": "./extension"}]


def served(path: str) -> tuple[str, list[str]] | None:
    """The file below ``/lab/extensions`` as a name and its directories; None where it is not ours."""
    return (FILE, [_DIRECTORY]) if path == f"{NAME}/{FILE}" else None
