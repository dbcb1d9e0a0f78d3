"""Conversions, a few at a time."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from traitlets.config import Config
from traitlets.config.loader import LazyConfigValue
from twisted.internet.defer import Deferred, DeferredSemaphore
from twisted.logger import Logger

from jupyterd.errors import Failed, NotFound
from jupyterd.events.progress import Progress
from jupyterd.nbconvert.formats import CHILD, exporters
from jupyterd.system.child_process import ChildFailed, run_module
from jupyterd.system.threads import InThread

TIMEOUT = 600.0
AT_ONCE = 2

# Settings of the daemon that are none of an exporter's business; some are secrets.
KEPT_BACK = frozenset(
    {"ServerApp", "NotebookApp", "JupyterApp", "Application", "GatewayClient", "SingleUserNotebookApp"}
)


class NoSuchFormat(NotFound):
    """No exporter has that name."""


@dataclass(frozen=True)
class Converted:
    """What an exporter has made.

    :ivar extension: of a file with it, with its dot.
    :ivar media_type: empty where the exporter does not say.
    """

    body: bytes
    media_type: str
    extension: str


class Converter:
    """Runs exporters in child processes.

    :param config: the operator's settings of exporters and their parts.
    :param progress: is told of each conversion.
    """

    log = Logger()

    def __init__(self, reactor: Any, in_thread: InThread, config: Config, progress: Progress | None = None) -> None:
        self._progress = progress
        self._reactor = reactor
        self._in_thread = in_thread
        self._config = plain(config)
        self._turns = DeferredSemaphore(AT_ONCE)

    async def convert(
        self,
        form: str,
        notebook: Mapping[str, Any],
        resources: Mapping[str, Any],
        *,
        sanitize: bool | None = None,
        gone: Deferred[None] | None = None,
    ) -> Converted:
        """Convert a notebook.

        :param form: the exporter's name.
        :param resources: what nbconvert wants to know beside the notebook.
        :param sanitize: for HTML: take scripts out; None for the exporter's own setting.
        :param gone: fires when nobody waits for the result any more.
        :raises NoSuchFormat: there is no such exporter.
        :raises Failed: it failed.
        """
        if form not in await self._in_thread(exporters):
            raise NoSuchFormat(f"No exporter for format: {form}")
        request = {
            "do": "convert",
            "format": form,
            "config": self._config,
            "notebook": notebook,
            "resources": resources,
            "sanitize": sanitize,
        }
        data = await self._in_thread(lambda: json.dumps(request, default=str).encode())
        name = str(resources.get("metadata", {}).get("name") or "")
        task = None if self._progress is None else self._progress.begin("convert", f"{name} ({form})")
        failed = True
        try:
            converted = await self._turns.run(lambda: Deferred.fromCoroutine(self._run(data, gone)))
            failed = False
        finally:
            if task is not None:
                task.end(failed)
        return converted

    async def _run(self, data: bytes, gone: Deferred[None] | None) -> Converted:
        running = run_module(self._reactor, CHILD, data, timeout=TIMEOUT)
        if gone is not None:
            gone.addCallback(lambda _: running.cancel())
        try:
            out = await running
        except ChildFailed as error:
            self.log.error("nbconvert failed: {text}", text=error.stderr)
            raise Failed(f"nbconvert failed: {error.message}") from None
        head, _, body = out.partition(b"\n")
        told = json.loads(head)
        return Converted(body, told["media_type"], told["extension"])


def plain(config: Config) -> dict[str, Any]:
    """The settings that can be handed to another process, without the daemon's own."""
    sections = {}
    for name, section in config.items():
        if name in KEPT_BACK or "Identity" in name or not isinstance(section, dict):
            continue
        sections[name] = {key: value for key, value in section.items() if _is_plain(value)}
    return sections


def _is_plain(value: Any) -> bool:
    if isinstance(value, LazyConfigValue):
        return False
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return False
    return True
