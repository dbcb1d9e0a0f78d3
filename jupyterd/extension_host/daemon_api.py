"""Asks the daemon on its private socket: from coroutines, and from code that can only wait."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote, urlencode

from tornado.web import HTTPError

from jupyterd.extension_host.link import Link

UPDATE = "X-Jupyterd-Update"
SECONDS = 300.0
"""How long an answer may take: the start of a kernel is one of them."""
THREADS = 8


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class DaemonAPI:
    """The daemon's private API.

    :param path: of its socket.
    :param key: shows that it is the host that asks.
    :param link: brings what a request has changed.
    """

    def __init__(self, path: str, key: bytes, link: Link) -> None:
        self._path = path
        self._headers = {"Authorization": f"Bearer {key.hex()}"}
        self._link = link
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="daemon-api")

    def ask(self, method: str, path: str, body: Any = None, query: Mapping[str, str] | None = None) -> Any:
        """Ask, and wait for the JSON of the answer; None where it has no body.

        :param path: not quoted.
        :raises HTTPError: the daemon refuses; its words are the message.
        """
        return self._ask(method, path, body, query)[0]

    async def asking(self, method: str, path: str, body: Any = None, query: Mapping[str, str] | None = None) -> Any:
        """The same for coroutines; what has changed by it is known here when it returns."""
        loop = asyncio.get_running_loop()
        answer, number = await loop.run_in_executor(self._threads, self._ask, method, path, body, query)
        waiting = self._link.applied(number)
        if waiting is not None:
            await waiting
        return answer

    def _ask(self, method: str, path: str, body: Any, query: Mapping[str, str] | None) -> tuple[Any, int]:
        connection = _Connection(self._path)
        target = quote(path, safe="/") + (f"?{urlencode(query)}" if query else "")
        data = None if body is None else json.dumps(body, default=str).encode()
        try:
            connection.request(method, target, data, self._headers)
            response = connection.getresponse()
            text = response.read()
        except OSError as error:
            raise HTTPError(503, f"The server does not answer: {error}") from error
        finally:
            connection.close()
        if response.status >= 400:
            raise HTTPError(response.status, _message(text, response.reason).replace("%", "%%"))
        return json.loads(text) if text else None, int(response.getheader(UPDATE) or 0)


def _message(text: bytes, phrase: str) -> str:
    try:
        said = json.loads(text)
    except ValueError:
        return text.decode("utf-8", "replace")[:1000] or phrase
    return str(said.get("message") or phrase) if isinstance(said, dict) else phrase
