"""Websocket protocol of one tab: frames to its kernel, and from the log at its cursor.

Frames are written to the transport as the log made them, many messages in one write. A tab that reads slower than
its kernel speaks pauses its cursor and nothing else; one whose kernel takes nothing is not read.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from twisted.internet.tcp import Connection
from twisted.internet.unix import Server as UNIXServer
from twisted.python.failure import Failure

from jupyterd.keeper.taken import taken
from jupyterd.kernels.channels.kernel_channels import KernelChannels
from jupyterd.kernels.log.cursor import Cursor, Held
from jupyterd.kernels.messages.websocket_codec import CODEC_JSON, CODEC_V1, V1, BadFrame, Bytes, Codec, frame_size
from jupyterd.kernels.recovery.standin import Standin
from jupyterd.kernels.websocket.counted_sends import CountedSends
from jupyterd.kernels.websocket.receipts import Receipts, proxied
from jupyterd.kernels.websocket.tls_records import TLSRecords
from jupyterd.web.server.unacknowledged import waiting
from jupyterd.web.websocket.protocol import SocketProtocol

PIECE = 128 * 1024
"""What is given to the transport at once."""

TURN = 1024 * 1024
"""What one client is sent of a large message before the reactor serves the others."""

GOODBYE = (1000, 1001, 1005)
"""Close codes of a client that leaves on purpose. Source: RFC 6455, section 7.4.1."""


class ChannelsProtocol(SocketProtocol):
    """``/api/kernels/<id>/channels``: one tab of one kernel.

    :param session_id: by it the tab comes back to its place after a lost connection; None for a tab that can not.
    :param records: what it runs may be written into notebooks.
    """

    def __init__(self, channels: KernelChannels, session_id: str | None, records: bool = True) -> None:
        super().__init__()
        self._records = records
        self._channels = channels
        self._session_id = session_id
        self._cursor: Cursor | None = None
        self._paused = False
        self._plain_transport = False
        self._proxied = False
        self._receipts: Receipts | None = None
        self._last_frame = 0
        self._hold: tuple[Standin, int] | None = None
        self._counted: CountedSends | None = None
        self._held: Held | None = None
        self.max_message = channels.settings.max_message_size
        self.ping_interval, self.ping_timeout = channels.settings.ping
        self._pending: deque[Bytes] = deque()
        self.codec: Codec = CODEC_JSON

    # -- Autobahn

    def onConnect(self, request: Any) -> str | None:
        """Choose the protocol: what the operator prefers, if the client offers it."""
        settings = self._channels.settings
        self._proxied = proxied(request.headers) if settings.confirm_by_pongs is None else settings.confirm_by_pongs
        preferred = settings.kernel_ws_protocol
        chosen = V1 if preferred is None else preferred
        if chosen and chosen in request.protocols:
            self.codec = CODEC_V1 if chosen == V1 else CODEC_JSON
            return chosen
        return None

    def opened(self) -> None:
        """See :class:`SocketProtocol`."""
        transport = self.transport
        self._plain_transport = isinstance(transport, Connection)
        socket: Any = transport if self._plain_transport else getattr(transport, "transport", None)
        if hasattr(socket, "_closeSocket"):  # the system forgets with the socket what it knows of it: ask before
            socket.connectionLost = partial(self._before_it_is_lost, socket, socket.connectionLost)
        self._receipts = Receipts(transport, self.factory.reactor.seconds, self._waits, self.sendPing, self._proxied)
        standin = self._channels.standin
        if standin is not None and hasattr(socket, "fileno"):
            self._have_it_held(standin, socket)
        self._cursor = self._channels.attach(self, self._session_id)
        self._cursor.records = self._records

    def _have_it_held(self, standin: Standin, socket: Any) -> None:
        """Have the keeper hold the connection, and count what the system takes, where it can be counted."""
        count: int | None = 0
        if isinstance(socket, UNIXServer):
            with suppress(OSError):
                self._counted = CountedSends(socket, self._uncounted)
            count = None if self._counted is None else 0
        else:
            count = taken(socket.socket)
        key = standin.hold(socket.fileno(), None if self._counted is None else self._counted.fd)
        self._hold = standin, key
        if count is not None and (self._plain_transport or self._tls_records is not None):
            self._held = Held(key, count + waiting(socket), self._tls_records)
            socket.doWrite = partial(self._do_write, socket.doWrite)

    def hold_again(self) -> None:
        """There is another keeper: have it hold the connection, by the same number."""
        if self._hold is not None and self._cursor is not None:
            standin, key = self._hold
            socket: Any = self.transport if self._plain_transport else self.transport.transport
            with suppress(OSError):  # it is closed just now
                standin.hold(socket.fileno(), None if self._counted is None else self._counted.fd, key)

    def _uncounted(self) -> None:
        """What the system takes is not known from now on."""
        if self._cursor is not None:
            self._channels.messages.uncounted(self._cursor, self)
        self._held = self._counted = None

    def _before_it_is_lost(self, socket: Any, connection_lost: Callable[[Any], None], reason: Failure) -> None:
        self._note_end(reason)
        socket.__dict__.pop("connectionLost", None)
        socket.__dict__.pop("doWrite", None)
        connection_lost(reason)

    def connectionLost(self, reason: Any = None) -> None:
        """Called by the transport."""
        self._note_end(reason)
        super().connectionLost(reason)

    def _note_end(self, reason: Failure) -> None:
        if self._receipts is not None:
            self._receipts.ended(reason, said_goodbye=self._said_goodbye)

    @property
    def _said_goodbye(self) -> bool:
        """The client has closed it; what it answers to our goodbye is none of its own."""
        return self.remoteCloseCode in GOODBYE and not self.going_away

    def onPong(self, payload: bytes) -> None:
        """The client has read all that was written before a ping."""
        if self._receipts is not None:
            self._receipts.pong(payload)
            self._channels.messages.confirmed()

    def closed(self, code: int, reason: str) -> None:
        """See :class:`SocketProtocol`."""
        if self._hold is not None:
            standin, key = self._hold
            standin.drop(key)
            self._hold = None
        if self._counted is not None:
            self._counted.close()
        cursor, self._cursor = self._cursor, None
        if cursor is not None:
            self._channels.detach(cursor, self, said_goodbye=self._said_goodbye)
        self._pending.clear()

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        """A message of the client, for the kernel.

        What is no message ends the connection without a closing handshake, as it does in the reference.
        """
        if self._cursor is None:
            return
        try:
            channel, parts = self.codec.decode(payload, isBinary)
        except BadFrame as error:
            self.log.warn("a websocket is dropped: {why}", why=error.message)
            self.dropConnection(abort=True)
            return
        self._channels.send(self._cursor, channel, parts)

    def sendData(self, data: bytes, sync: bool = False, chopsize: int | None = None) -> None:
        """Autobahn's own frames (ping, pong, close) do not go into the middle of one of ours."""
        if self._receipts is not None:
            self._receipts.written += len(data)
        if self._pending:
            self._pending.append(data)
            return
        if self._plain_transport:
            data = data[self._sent(data) :]
        if data:
            super().sendData(data, sync, chopsize)

    # -- for the log

    @property
    def blocked(self) -> bool:
        """Whether the client reads slower than it is written to."""
        return self._paused or bool(self._pending)

    @property
    def connection(self) -> Held | None:
        """See :class:`jupyterd.kernels.log.cursor.Client`."""
        return self._held

    def begin(self, frames: list[Bytes]) -> int | None:
        """See :class:`jupyterd.kernels.log.cursor.Client`."""
        receipts = self._receipts
        assert receipts is not None
        receipts.ahead(frame_size(frames[0]))
        return None if self._held is None else receipts.written

    def write(self, frames: list[Bytes]) -> int:
        """Take whole frames; the number of bytes taken in all."""
        receipts = self._receipts
        assert receipts is not None
        receipts.written += sum(map(len, frames))
        self._last_frame = written = receipts.written
        if len(frames) == 1 and not self._pending and isinstance(first := frames[0], bytes) and len(first) <= PIECE:
            if self._plain_transport and (sent := self._sent(first)):
                if sent < len(first):
                    self.transport.write(first[sent:])
            else:
                self.transport.write(first)
        else:
            self._pending.extend(frames)
            self._flush()
        receipts.behind()
        return written

    def _flush(self) -> None:
        while self._pending and not self._paused:
            piece = self._pending.popleft()
            if len(piece) > PIECE:
                view = memoryview(piece)
                if self._plain_transport:
                    view = view[self._sent(view) :]
                self._pending.appendleft(view[PIECE:])
                piece = view[:PIECE]
            if piece:
                self.transport.write(bytes(piece))
        while self._pending and not self._pending[0]:
            self._pending.popleft()

    def unsent(self) -> int | None:
        """Bytes up to the last frame's end that the system has not taken; None where it is not known."""
        records = self._tls_records
        if records is not None:
            assert self._receipts is not None
            taken = records.without(waiting(self.transport.transport))
            return self._up_to_last(self._receipts.written - taken)
        if not self._plain_transport:
            return None
        size = waiting(self.transport)
        return self._up_to_last(size + self._waits()) if size or self._pending else 0

    @property
    def _tls_records(self) -> TLSRecords | None:
        return None if self._receipts is None else self._receipts.records

    def _do_write(self, do_write: Callable[[], Any]) -> Any:
        """The transport gives to the system what it holds."""
        done = do_write()
        if self._cursor is not None:
            self._channels.messages.taken(self._cursor)
        return done

    def _sent(self, view: Bytes) -> int:
        """Bytes that the system takes at once, past the transport's buffer, which would copy them."""
        transport = self.transport
        if transport._tempDataLen or transport.offset != len(transport.dataBuffer):
            return 0
        begin = 0
        while begin < min(len(view), TURN):
            sent = transport.writeSomeData(view[begin:] if begin else view)
            if not isinstance(sent, int) or sent <= 0:
                break  # the transport finds out itself, with the next piece that it is given
            begin += sent
        return begin

    def unacknowledged(self) -> int:
        """Bytes up to the last frame's end that the client may not have.

        What follows it (the answer to a goodbye, a ping) is not counted: a client that left has not read it, and has
        read what was before it all the same.
        """
        return 0 if self._receipts is None else self._up_to_last(self._receipts.unconfirmed())

    def unanswered(self) -> int:
        """Bytes up to the last frame's end that may have to be sent again, whatever happens."""
        return 0 if self._receipts is None else self._up_to_last(self._receipts.unanswered())

    def _up_to_last(self, size: int) -> int:
        assert self._receipts is not None
        return max(0, size - (self._receipts.written - self._last_frame))

    def _waits(self) -> int:
        return sum(map(len, self._pending))

    def leave(self) -> None:
        """The server goes; the kernel does not: close so that the client comes back.

        The keeper holds the connection to the end of the server, and then tells what the system has taken of it.
        """
        self._hold = None
        self.sendClose(1012, "The server is restarted")

    def finish(self) -> None:
        """Close, behind what is being written."""
        self.sendClose()

    # -- flow

    def paused(self) -> None:
        """See :class:`SocketProtocol`."""
        self._paused = True

    def resumed(self) -> None:
        """See :class:`SocketProtocol`."""
        self._paused = False
        self._flush()
        if self._cursor is not None and not self.blocked:
            self._channels.messages.pull(self._cursor)
