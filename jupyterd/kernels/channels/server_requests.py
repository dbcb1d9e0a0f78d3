"""Requests of the server's own to a kernel, and the replies."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import orjson
from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeout

from jupyterd.errors import Gone, TimedOut
from jupyterd.kernels.messages.server_session import ServerSession
from jupyterd.kernels.messages.websocket_codec import Parts

Reply = dict[str, Any]
"""``header``, ``parent_header``, ``metadata``, ``content``."""


class ServerRequests:
    """The server's own requests to one kernel.

    :param clock: the reactor's.
    :param send: sends the parts of a message on a channel.
    """

    def __init__(self, server_session: ServerSession, clock: Any, send: Callable[[str, Parts], None]) -> None:
        self._server_session, self._clock, self._send = server_session, clock, send
        self._waiting: dict[str, Deferred[Reply]] = {}

    def ask(self, msg_type: str, content: dict[str, Any], channel: str, waiter: Deferred[Reply]) -> str:
        """Send a request whose reply ``waiter`` gets; its id."""
        msg_id, parts = self._server_session.message(msg_type, content)
        self._waiting[msg_id] = waiter
        self._send(channel, parts)
        return msg_id

    async def reply(self, msg_type: str, content: dict[str, Any], channel: str, timeout: float) -> Reply:
        """The reply to a request.

        :raises TimedOut: there is none within ``timeout`` seconds.
        :raises Gone: see :meth:`fail`.
        """
        waiter: Deferred[Reply] = Deferred()
        msg_id = self.ask(msg_type, content, channel, waiter)
        try:
            return await waiter.addTimeout(timeout, self._clock)
        except DeferredTimeout:
            raise TimedOut(f"No reply to {msg_type} within {timeout:g} s") from None
        finally:
            self._waiting.pop(msg_id, None)

    def unask(self, msg_ids: Iterable[str]) -> None:
        """The replies to these requests do not matter any more."""
        for msg_id in msg_ids:
            self._waiting.pop(msg_id, None)

    def heard(self, msg_id: str, message: Parts) -> None:
        """The kernel replied to the request of that id.

        :raises ValueError: the reply is no JSON.
        """
        waiter = self._waiting.pop(msg_id, None)
        if waiter is not None:
            header, parent, metadata, content = (orjson.loads(part) for part in message[:4])
            waiter.callback({"header": header, "parent_header": parent, "metadata": metadata, "content": content})

    def fail(self, reason: str) -> None:
        """There will be no replies."""
        waiting, self._waiting = self._waiting, {}
        for waiter in waiting.values():
            waiter.errback(Gone(reason))
