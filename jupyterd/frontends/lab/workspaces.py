"""Workspaces of JupyterLab: which tabs lie where, one JSON file each."""

from __future__ import annotations

import hashlib
import json
import os
import re
import unicodedata
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any
from urllib.parse import unquote

from twisted.logger import Logger

from jupyterd.errors import Invalid, NotFound
from jupyterd.frontends.json_files import replace
from jupyterd.system import strict_json

ENDING = ".jupyterlab-workspace"
MAX_NAME_LENGTH = 128
"""Characters of a file's name."""


class NoSuchWorkspace(NotFound):
    """No workspace is kept under that name."""


def slug(name: str) -> str:
    """The file name, without its ending, under which JupyterLab keeps the workspace ``name``.

    Letters, digits and hyphens of the name, then four hexadecimal digits of its SHA-256, so that names which differ
    in other characters lie in different files. Source: files that JupyterLab has written.
    """
    name = name.removeprefix("/")
    signature = "-" + hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:4]
    text = unquote(name.lower())
    text = unicodedata.normalize("NFKC", text).encode("ascii", "ignore").decode("ascii")
    text = re.sub(r"[^\w\s-]", "", text).strip()
    text = re.sub(r"[-\s]+", "-", text)
    return text[: MAX_NAME_LENGTH - len(ENDING) - len(signature)] + signature


@dataclass
class Workspaces:
    """The workspaces in one directory; everything here reads or writes files, and blocks."""

    directory: str
    log = Logger()

    def list(self) -> list[dict[str, Any]]:
        """All of them."""
        try:
            names = sorted(name for name in os.listdir(self.directory) if name.endswith(ENDING))
        except OSError:
            return []
        loaded = []
        for name in names:
            try:
                workspace = self._load(os.path.join(self.directory, name))
                _ = workspace["metadata"]["id"]
                loaded.append(workspace)
            except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
                self.log.warn("skipping workspace {name}: {error!r}", name=name, error=error)
        return loaded

    def get(self, name: str) -> dict[str, Any]:
        """One of them; an empty one where nothing is kept under ``name``."""
        try:
            return self._load(self._path(name))
        except FileNotFoundError:
            return {"data": {}, "metadata": {"id": name if name.startswith("/") else f"/{name}"}}

    def save(self, name: str, raw: str) -> None:
        """Keep a workspace as the client has written it.

        :raises Invalid: it is not JSON, or its ``metadata.id`` is not ``name``.
        """
        try:
            told = json.loads(raw)["metadata"]["id"]
        except (ValueError, RecursionError) as error:
            raise Invalid(str(error)) from None
        except (KeyError, TypeError):
            raise Invalid("A workspace needs metadata.id") from None
        told = unquote(str(told) if str(told).startswith("/") else f"/{told}")
        if told != f"/{name}":
            raise Invalid(f"Workspace metadata ID mismatch: expected {name!r} got {told!r}")
        replace(self._path(name), raw)

    def delete(self, name: str) -> None:
        """Forget a workspace.

        :raises NoSuchWorkspace: nothing is kept under ``name``.
        """
        try:
            os.unlink(self._path(name))
        except FileNotFoundError:
            raise NoSuchWorkspace(f"Workspace {name!r} ({slug(name)!r}) not found") from None

    def _path(self, name: str) -> str:
        return os.path.join(self.directory, slug(name) + ENDING)

    def _load(self, path: str) -> dict[str, Any]:
        with open(path, "rb") as file:
            status = os.fstat(file.fileno())
            workspace: dict[str, Any] = strict_json.loads(file.read())
        workspace["metadata"].update(last_modified=_when(status.st_mtime), created=_when(status.st_ctime))
        return workspace


def _when(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, tz=timezone.utc).isoformat()
