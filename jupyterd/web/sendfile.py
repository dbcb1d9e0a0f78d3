"""Files handed to the system to be sent, over plain TCP and UNIX sockets: their bytes never pass through this process.

Source: sendfile(2), preadv2(2).
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any, BinaryIO

from twisted.internet.interfaces import IPushProducer
from twisted.internet.tcp import Connection
from twisted.logger import Logger
from zope.interface import implementer

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

    from jupyterd.system.threads import InThread
    from jupyterd.web.server.request import Request

LEAST = 256 * 1024
"""Bytes from which on it is worth while: less is read, and written with the head."""

PIECE = 512 * 1024
"""Bytes that are handed over at a time."""

TURN = 4 * PIECE
"""Bytes after which others have their turn."""

_STEP = 64 * 1024
_NOWAIT = getattr(os, "RWF_NOWAIT", None)


def can_send(request: Request, size: int) -> bool:
    """The connection is one of the system's own, and so much is to be sent that it matters."""
    transport: Any = request.channel.transport
    plain = isinstance(transport, Connection) and not getattr(transport, "TLS", False)
    return plain and size >= LEAST and hasattr(os, "sendfile")


@implementer(IPushProducer)
class SendfileProducer:
    """Sends a part of a file while the client takes it.

    What the system has in its memory is handed over at once; what must come from the disk first, in a thread.
    """

    log = Logger()

    def __init__(self, file: BinaryIO, start: int, end: int, request: Request, in_thread: InThread) -> None:
        self._file = file
        self._start = start
        self._end = end
        self._request = request
        self._channel: Any = request.channel
        self._transport: Any = request.channel.transport
        self._in_thread = in_thread
        self._sending: Deferred[Any] | None = None
        self._stopped = False

    def begin(self) -> None:
        """Write the head, become the request's producer, and send."""
        self._request.write(b"")
        self._request.registerProducer(self, True)
        self._await_room()

    def _await_room(self) -> None:
        """Go on when what the transport holds is written and the system takes more.

        To the transport this is a producer that it has paused; so the client's slowness is timed as any other's.
        """
        self._channel.pauseProducing()
        self._transport.producerPaused = True
        self._transport.startWriting()

    def resumeProducing(self) -> None:
        """Send on. Called by the channel."""
        turn = TURN
        while turn > 0 and not self._stopped and self._sending is None:
            count = min(PIECE, self._end - self._start)
            if not is_cached(self._file.fileno(), self._start, count):
                self._send_in_thread()
                return
            try:
                sent = os.sendfile(self._transport.fileno(), self._file.fileno(), self._start, count)
            except BlockingIOError:
                break
            except OSError as error:
                self._broke(error)
                return
            if not self._went(sent):
                return
            turn -= sent
            if sent < count:
                break
        if not self._stopped and self._sending is None:
            self._await_room()

    def pauseProducing(self) -> None:
        """Nothing is held here. Called by the channel."""

    def stopProducing(self) -> None:
        """The client is gone. Called by the transport."""
        self._stopped = True
        if self._sending is None:
            self._file.close()

    def _went(self, sent: int) -> bool:
        """So much was sent; whether there is more to send."""
        self._start += sent
        self._request.sentLength += sent
        if not sent:
            self._broke(EOFError("it became shorter than was announced"))
        elif self._start >= self._end:
            self._stopped = True
            self._file.close()
            self._request.unregisterProducer()
            self._request.finish()
        return not self._stopped

    def _send_in_thread(self) -> None:
        """The socket gets a number of its own: the transport may close its own one meanwhile, and it may be reused."""
        socket = os.dup(self._transport.fileno())
        self._sending = self._in_thread(_send, socket, self._file.fileno(), self._start, self._end)
        self._sending.addCallbacks(self._sent, self._failed)

    def _sent(self, sent: int | None) -> None:
        self._sending = None
        if self._stopped:
            self._file.close()
        elif sent is None or self._went(sent):
            self._await_room()

    def _failed(self, failure: Any) -> None:
        self._sending = None
        if self._stopped:
            self._file.close()
        else:
            self._broke(failure.value)

    def _broke(self, error: BaseException) -> None:
        """The connection is cut, so that the client sees that this was not all."""
        self._stopped = True
        self._file.close()
        self._request.unregisterProducer()
        if not isinstance(error, ConnectionError):
            self.log.warn("a file could not be sent: {error}", error=error)
        self._channel.forceAbortClient()


def _send(socket: int, file: int, start: int, end: int) -> int | None:
    """In a thread: as much as the socket takes, :data:`TURN` at most; None where it takes nothing just now."""
    total = 0
    try:
        while total < TURN and start + total < end:
            sent = os.sendfile(socket, file, start + total, min(PIECE, end - start - total))
            total += sent
            if not sent:
                break
    except BlockingIOError:
        return total or None
    finally:
        os.close(socket)
    return total


def is_cached(file: int, start: int, count: int) -> bool:
    """Whether a part of a file is in the system's memory, as far as samples tell; False where they tell nothing."""
    if _NOWAIT is None:
        return False
    byte = [bytearray(1)]
    with suppress(OSError):
        for at in (*range(start, start + count, _STEP), start + count - 1):
            os.preadv(file, byte, at, _NOWAIT)
        return True
    return False
