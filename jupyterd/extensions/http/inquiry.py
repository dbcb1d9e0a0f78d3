"""Questions of the daemon's own to the extension host: its page configuration now, its metrics."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from jupyterd.errors import Failed
from jupyterd.extensions.host_supervisor import ExtensionHost
from jupyterd.extensions.http import headers
from jupyterd.extensions.http.connections import Connections
from jupyterd.extensions.http.upstream import Head, Upstream
from jupyterd.extensions.signed_requests import IDENTITY, MAC, Claim, sign

PREFIX = b"/.jupyterd/"
SECONDS = 5.0
"""How long an answer may take; an extension may block the host meanwhile."""
LIMIT = 16 * 1024 * 1024
"""Bytes of an answer."""


class _Collected:
    """Collects one answer."""

    def __init__(self) -> None:
        self.done_: Deferred[bytes] = Deferred()
        self.upstream: Upstream | None = None
        self._parts: list[bytes] = []
        self._size = 0
        self._status = 0

    def head(self, head: Head) -> None:
        self._status = head.status

    def body(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > LIMIT:
            self.lost(Failed("the answer is too large"))
            return
        self._parts.append(data)

    def done(self) -> None:
        if self._status != 200:
            self.lost(Failed(f"the extension host answers {self._status}"))
        elif not self.done_.called:
            self.done_.callback(b"".join(self._parts))

    def lost(self, reason: Exception) -> None:
        if self.upstream is not None:
            self.upstream.abort()
        if not self.done_.called:
            self.done_.errback(reason)


class Inquiry:
    """Asks the host.

    :param host: is asked when it is ready.
    """

    def __init__(self, host: ExtensionHost, connections: Connections) -> None:
        self.host = host
        self._connections = connections

    def ask(self, name: bytes) -> Deferred[bytes]:
        """The answer to one of the host's own questions.

        :raises Failed: it gave none.
        :raises TimedOut: it did not within :data:`SECONDS`.
        """
        target = PREFIX + name
        claim = Claim(time=time.time(), update=self.host.mirror.number)
        identity, mac = sign(self.host.key, b"GET", target, claim)
        head = headers.request_head(b"GET", target, [(b"Host", b"localhost"), (IDENTITY, identity), (MAC, mac)])
        answer = _Collected()

        def connected(upstream: Upstream) -> None:
            answer.upstream = upstream
            if answer.done_.called:
                upstream.abort()
                return
            upstream.begin(head, answer, without_body=False)
            upstream.sent()

        def failed(failure: Failure) -> None:
            answer.lost(Failed(str(failure.value)))

        self._connections.get(connected, failed)
        timer = self.host.reactor.callLater(SECONDS, answer.lost, Failed("the extension host does not answer in time"))
        return answer.done_.addBoth(lambda result: (timer.active() and timer.cancel(), result)[1])

    async def _state(self) -> dict[str, Any]:
        state: dict[str, Any] = json.loads(await self.ask(b"state"))
        self.host.last_activity = max(self.host.last_activity, float(state["last_activity"]))
        return state

    async def look_at_activity(self) -> None:
        """Ask when extensions were last used; :attr:`ExtensionHost.last_activity` tells then."""
        if self.host.is_ready:
            with suppress(Exception):  # it has told some time ago
                await self._state()

    async def page_config(self) -> Mapping[str, Any]:
        """What extensions tell the pages; waits for the host, and goes without where it does not come."""
        try:
            await self.host.ready()
            return dict((await self._state())["page_config"])
        except Exception:  # noqa: BLE001 - a page without it is better than none
            return self.host.report.page_config

    async def static(self) -> list[str]:
        """Directories of static files; waits for the host.

        :raises Unavailable: it does not come.
        """
        await self.host.ready()
        return self.host.report.static

    async def metrics(self) -> bytes:
        """The metrics of extensions; empty where there are none."""
        if not self.host.is_ready:
            return b""
        try:
            return await self.ask(b"metrics")
        except Exception:  # noqa: BLE001 - the server's own are told all the same
            return b""
