"""An extension of jupyterd itself: ``/word-count/<path>`` counts a file's words, and a websocket tells of each save."""

from __future__ import annotations

import json
from typing import Any

from traitlets import Integer
from traitlets.config import Configurable
from twisted.application.service import Service

from jupyterd.errors import TooLarge
from jupyterd.extensions.native import Native
from jupyterd.web.api import Routes, json_api
from jupyterd.web.call import Call
from jupyterd.web.websocket.protocol import SocketProtocol


class WordCount(Configurable):
    """Settings: ``c.WordCount.limit = 1000``."""

    limit = Integer(1_000_000, config=True, help="Characters of the largest file whose words are counted.")


class Saves(Service):
    """Counts saves while the server runs: a service is started and stopped with it."""

    def __init__(self, native: Native) -> None:
        self._native = native
        self.count = 0

    def startService(self) -> None:
        super().startService()
        self._stop = self._native.bus().listen(self._heard)

    def stopService(self) -> None:
        super().stopService()
        self._stop()

    def _heard(self, schema_id: str, data: dict[str, Any]) -> None:
        self.count += data.get("action") == "save"


class Watch(SocketProtocol):
    """Tells each save to a browser."""

    max_message = 1024

    def __init__(self, native: Native) -> None:
        super().__init__()
        self._native = native

    def opened(self) -> None:
        self._stop = self._native.bus().listen(self._heard)

    def closed(self, code: int, reason: str) -> None:
        self._stop()

    def _heard(self, schema_id: str, data: dict[str, Any]) -> None:
        if data.get("action") == "save":
            self.sendMessage(json.dumps(data["path"]).encode())


class WordCountResource:
    """The routes. The guard has let the request in before one of them is asked."""

    app = Routes()
    api = json_api(app)

    def __init__(self, native: Native, settings: WordCount, saves: Saves) -> None:
        self._native, self._settings, self._saves = native, settings, saves

    @api("GET", "/word-count/<path:path>")
    async def count(self, call: Call, path: str) -> dict[str, int]:
        """How many words a file has."""

        async def read(manager: Any) -> str:
            model = manager.get(path, type="file", format="text")
            return str((await model if hasattr(model, "__await__") else model)["content"])

        text = await self._native.contents().ask(read)
        if len(text) > self._settings.limit:
            raise TooLarge(f"{path} has more than {self._settings.limit} characters")
        return {"words": len(text.split()), "saves": self._saves.count}

    @api.websocket("/word-count-watch")
    async def watch(self, call: Call) -> Watch:
        """Hear of saves."""
        return Watch(self._native)


def extension(native: Native) -> None:
    """What the entry point names: called when the daemon is put together."""
    saves = Saves(native)
    resource = WordCountResource(native, WordCount(config=native.config), saves)
    native.serve(saves)
    native.mount("/word-count", resource.app.resource, auth="contents")
    native.mount("/word-count-watch", resource.app.resource, auth="contents", exact=True, websocket=True)
    native.page_config["wordCount"] = f"{native.base_url}word-count"
