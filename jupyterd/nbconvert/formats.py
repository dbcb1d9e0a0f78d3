"""Formats of conversions: entry points, and the media types of nbconvert's own exporters."""

from __future__ import annotations

import json
from importlib.metadata import entry_points
from typing import Any

from twisted.logger import Logger

from jupyterd.errors import JupyterdError
from jupyterd.system.child_process import run_module
from jupyterd.system.threads import InThread

CHILD = "jupyterd.nbconvert.child"
TIMEOUT = 60.0

# nbconvert's own exporters → the media type of what they make. A test holds this against nbconvert itself.
KNOWN = {
    "nbconvert.exporters:ASCIIDocExporter": "text/asciidoc",
    "nbconvert.exporters:HTMLExporter": "text/html",
    "nbconvert.exporters:LatexExporter": "text/latex",
    "nbconvert.exporters:MarkdownExporter": "text/markdown",
    "nbconvert.exporters:NotebookExporter": "application/json",
    "nbconvert.exporters:PDFExporter": "application/pdf",
    "nbconvert.exporters:PythonExporter": "text/x-python",
    "nbconvert.exporters:QtPDFExporter": "text/html",
    "nbconvert.exporters:QtPNGExporter": "text/html",
    "nbconvert.exporters:RSTExporter": "text/x-rst",
    "nbconvert.exporters:ScriptExporter": "",
    "nbconvert.exporters:SlidesExporter": "text/html",
    "nbconvert.exporters:TemplateExporter": "",
    "nbconvert.exporters:WebPDFExporter": "text/html",
}


class Formats:
    """The installed exporters; others than nbconvert's own are asked for their media type in a child process, once."""

    log = Logger()

    def __init__(self, reactor: Any, in_thread: InThread) -> None:
        self._reactor = reactor
        self._in_thread = in_thread
        self._asked: dict[str, str | None] = {}

    async def all(self) -> dict[str, dict[str, str]]:
        """Each format's name and ``output_mimetype``."""
        installed = await self._in_thread(exporters)
        unknown = {name: value for name, value in installed.items() if value not in KNOWN and value not in self._asked}
        if unknown:
            await self._ask(unknown)
        types = {name: KNOWN.get(value, self._asked.get(value)) for name, value in installed.items()}
        return {name: {"output_mimetype": kind} for name, kind in types.items() if kind is not None}

    async def _ask(self, unknown: dict[str, str]) -> None:
        try:
            request = json.dumps({"do": "types", "names": list(unknown)}).encode()
            types = json.loads(await run_module(self._reactor, CHILD, request, timeout=TIMEOUT))
        except JupyterdError as error:
            self.log.warn("could not ask exporters for their types: {error}", error=error.message)
            types = {}
        for name, value in unknown.items():
            self._asked[value] = types.get(name)


def exporters() -> dict[str, str]:
    """The installed exporters' names and where they are, sorted; blocks."""
    found = entry_points(group="nbconvert.exporters")
    return {entry.name: entry.value for entry in sorted(found, key=lambda each: each.name)}
