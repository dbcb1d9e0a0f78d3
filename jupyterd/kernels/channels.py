"""One kernel's channels: one set of ZeroMQ sockets, one message log, any number of websockets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol
from uuid import uuid4

import msgspec
import orjson
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from jupyterd.kernels.author import Author
from jupyterd.kernels.chunk import Chunk
from jupyterd.kernels.endings import Endings
from jupyterd.kernels.executions import Executions
from jupyterd.kernels.inquiries import Inquiries
from jupyterd.kernels.limits import RateLimit
from jupyterd.kernels.log import Client, Cursor, MessageLog
from jupyterd.kernels.older import OURS, adapted, major_version
from jupyterd.kernels.outbox import Outbox
from jupyterd.kernels.places import Places
from jupyterd.kernels.policy import MessagePolicy, Observer
from jupyterd.kernels.readiness import Readiness
from jupyterd.kernels.signing import HISTORY, Signer
from jupyterd.kernels.spill import Spill
from jupyterd.kernels.wire import (
    DELIMITER,
    NO_PARENT,
    UNREADABLE,
    Bytes,
    Header,
    Parent,
    Parts,
    read_header,
    read_parent,
    read_type,
)

if TYPE_CHECKING:
    from jupyterd.kernels.connection import ZMQChannelsWebsocketConnection
    from jupyterd.kernels.zmq import Batch, Network, Socket
    from jupyterd.threads import InThread

CHANNELS = ("shell", "control", "stdin")
"""The channels that clients may send on."""

ASKERS = 65536
"""How many requests are remembered for their replies; the oldest are forgotten first."""

FAREWELL = 30.0
"""Seconds that clients of a kernel that is gone have to read what it said last."""

LEAVE = 1.0
"""Seconds that clients have to leave by themselves: one that is cut off before it knows that the kernel is gone
looks for it, and shows its user an error."""


class ChannelsClient(Client, Protocol):
    """A websocket, as its kernel's channels see it."""

    def pause_client(self) -> None:
        """Read nothing more from the client."""

    def resume_client(self) -> None:
        """Read from the client again."""

    def finish(self) -> None:
        """Close, after what is being written."""


class _Status(msgspec.Struct, gc=False):
    execution_state: str = ""


_read_status = msgspec.json.Decoder(_Status).decode


class KernelChannels:
    """The message log of one kernel, what feeds it and who reads it.

    :param spill_dir: a directory of this kernel's own, made when it is needed and removed at the end.
    :param policy: what the manager's settings say about messages.
    :param network: where sockets come from; the reactor's ZeroMQ context if None.
    :ivar messages: the log.
    :ivar watchers: who is told of each message in answer to a request, by the request's id; told with None when it
        is lost.
    :ivar refused: how many messages of the kernel were not taken, by reason.
    """

    log = Logger()

    def __init__(
        self,
        kernel_id: str,
        *,
        reactor: Any,
        settings: ZMQChannelsWebsocketConnection,
        in_thread: InThread,
        spill_dir: str,
        observer: Observer,
        policy: MessagePolicy | None = None,
        network: Network | None = None,
    ) -> None:
        self.kernel_id = kernel_id
        self.settings = settings
        self.refused: dict[str, int] = {}
        self._reactor = reactor
        self._observer = observer
        self._policy = policy or MessagePolicy()
        self._network = network
        self._author = Author(reactor.seconds)
        self.messages = MessageLog(
            Spill(spill_dir, settings.log_disk_quota),
            in_thread,
            retained=settings.log_retained,
            memory=settings.log_memory,
            late=settings.coalesce_after,
            clock=reactor,
            flow=self._flow,
            notice=self._author.notice,
        )
        self._signer = Signer(b"")
        self._info: dict[str, Any] | None = None
        self._sockets: dict[str, Socket] = {}
        self._outboxes = {channel: Outbox(partial(self._post, channel), settings.client_hold) for channel in CHANNELS}
        self._version = OURS
        self._askers: dict[str, Cursor] = {}
        self._executing: dict[str, bytes] = {}
        self._places = Places(self.messages, reactor)
        self._inquiries = Inquiries(
            self._author, reactor, lambda channel, parts: self._outboxes[channel].at_once(parts)
        )
        self.executions = Executions(self, reactor, settings.offline_grace)
        self.watchers: dict[str, Callable[[str, Parts | None], None]] = {}
        self._parent: tuple[Bytes, Parent] = (b"{}", NO_PARENT)
        self._endings = Endings(reactor, self._idle_is_missing, self._newest)
        self._busy = self._held_back = False
        self._readiness = Readiness(reactor, self._ask_kernel_info, self._inquiries.unask, self._let_through)
        self._closed = False
        self._farewell: Any = None

    # -- for the kernel's life

    @property
    def connections(self) -> int:
        """How many websockets are open."""
        return len(self.messages.attached)

    @property
    def executing(self) -> Sequence[tuple[str, bytes]]:
        """``(msg_id, header)`` of each execute_request that the kernel has got and not replied to, oldest first."""
        waiting = self._waiting()
        return [each for each in self._executing.items() if each[0] not in waiting]

    def connect(self, connection_info: dict[str, Any]) -> None:
        """(Re)open the sockets; again after a restart, as ports and key may differ.

        The same info twice does nothing. What clients say waits until the kernel answers and its iopub is heard.
        """
        if self._closed or (connection_info == self._info and self._sockets):
            return
        self.disconnect()
        self._info = dict(connection_info)
        key = connection_info.get("key", b"")
        self._signer = Signer(
            key.encode() if isinstance(key, str) else bytes(key),
            connection_info.get("signature_scheme") or "hmac-sha256",
            self._history(),
        )
        network = self._network or self._zeromq()
        identity = uuid4().hex.encode()  # the kernel asks for input where a request came from: one for all channels
        for channel in ("iopub", *CHANNELS):
            received = self._iopub if channel == "iopub" else partial(self._replies, channel)
            writable = partial(self._writable, channel)
            self._sockets[channel] = network.open(channel, connection_info, identity, received, writable)
        self._readiness.begin(self.settings.kernel_info_timeout)

    def hold(self) -> None:
        """Its process is to end: what clients say from now on waits for the next one."""
        for outbox in self._outboxes.values():
            outbox.shut = True

    def disconnect(self) -> None:
        """Close the ZeroMQ sockets; log, cursors and websockets stay."""
        self._readiness.end()
        self.hold()
        sockets, self._sockets = self._sockets, {}
        for socket in sockets.values():
            socket.close()
        self._info = None
        self._busy = self._held_back = False
        self._endings.end()
        waiting = self._waiting()  # the next process will get these
        self._executing = {msg_id: header for msg_id, header in self._executing.items() if msg_id in waiting}
        for msg_id, heard in list(self.watchers.items()):
            if msg_id not in waiting:
                heard("", None)

    def close(self, reason: str = "") -> None:
        """The kernel is gone for good: close its websockets, forget its log, remove its spill.

        Websockets have :data:`LEAVE` seconds to go by themselves; those that lag have :data:`FAREWELL` seconds to
        read what is left for them.
        """
        if self._closed:
            return
        self._drain()
        self.disconnect()
        self._closed = True
        self.executions.close()
        reason = reason or "The kernel is gone"
        self._readiness.fail(reason)
        self._inquiries.fail(reason)
        self._farewell = self._reactor.callLater(FAREWELL, self._close_log)
        for cursor in list(self.messages.cursors.values()):
            if cursor.client is None:
                self._places.forget(cursor)
        self._reactor.callLater(LEAVE, self._see_out)
        self._close_log_if_read()

    def _see_out(self) -> None:
        """Close the websockets that have read all; the others when they have."""
        self.messages.caught_up = self._finish
        for cursor in list(self.messages.attached):
            if cursor.position >= self.messages.next:
                self._finish(cursor)
        self._close_log_if_read()

    def _finish(self, cursor: Cursor) -> None:
        client: Any = cursor.client
        client.finish()

    def _close_log_if_read(self) -> None:
        if self._farewell is not None and not self.messages.attached:
            self._farewell.cancel()
            self._close_log()

    def _close_log(self) -> None:
        self._farewell = None
        for cursor in list(self.messages.attached):
            self._finish(cursor)
            self._places.forget(cursor)
        self.messages.close().addErrback(lambda failure: self.log.failure("a spill is left behind", failure))

    async def ready(self, timeout: float) -> dict[str, Any]:
        """Wait until the kernel answers and its iopub is heard.

        :param timeout: seconds.
        :returns: the content of its ``kernel_info_reply``.
        :raises TimedOut: it did not within ``timeout``.
        :raises Gone: the channels were closed meanwhile.
        """
        return await self._readiness.wait(timeout)

    async def request(
        self, msg_type: str, content: dict[str, Any], *, channel: str = "shell", timeout: float
    ) -> dict[str, Any]:
        """Ask the kernel on the server's own behalf.

        :returns: the reply: ``header``, ``parent_header``, ``metadata``, ``content``.
        :raises TimedOut: no reply within ``timeout`` seconds.
        :raises Gone: the channels were closed meanwhile.
        """
        return await self._inquiries.reply(msg_type, content, channel, timeout)

    def announce(self, msg_type: str, content: dict[str, Any], parent_header: bytes = b"{}") -> None:
        """Put a message made by the server on iopub, behind all that the kernel said before."""
        self._drain()
        self._append(b"iopub", [self._author.message(msg_type, content, parent_header)[1]])

    # -- for websockets and REST

    def now(self) -> str:
        """The time as headers have it."""
        return self._author.now()

    def attach(self, client: ChannelsClient, session_id: str | None) -> Cursor:
        """A websocket is open: it gets what its session has missed, then all that follows.

        A websocket of the same session that is still open is closed: its client has lost it.
        """
        cursor = self._places.take(session_id)
        if cursor.client is not None:
            self.log.warn("a websocket of session {session} is replaced", session=session_id)
            stale: Any = cursor.client
            self._gone(cursor, stale)
            stale.finish()
        cursor.limit = self._rate_limit()
        self.messages.attach(cursor, client)
        return cursor

    def detach(self, cursor: Cursor, client: ChannelsClient, said_goodbye: bool) -> None:
        """A websocket is closed: its session's place is kept for a while.

        :param said_goodbye: the client closed it, so that it is less likely to come back.
        """
        if cursor.client is not client:
            return
        self._gone(cursor, client)
        if cursor.session is None or self._closed or not self._policy.buffer_offline_messages:
            self._places.forget(cursor)
            self._close_log_if_read()
            return
        grace = self.settings.closed_grace if said_goodbye else self.settings.offline_grace
        self._places.keep(cursor, grace)

    def send(self, cursor: Cursor, channel: str, parts: Parts) -> bool:
        """A client's message to the kernel; whether it is taken.

        What the reference ignores with a warning (an unknown channel, a type that is not allowed, a header that can
        not be read) is ignored here too.
        """
        outbox = self._outboxes.get(channel)
        if outbox is None:
            self.log.warn("No such channel: {channel}", channel=channel)
            return False
        try:
            header = read_header(parts[0])
        except UNREADABLE:
            self.log.warn("a client's message whose header can not be read is ignored")
            return False
        allowed = self._policy.allowed_message_types
        if allowed and header.msg_type not in allowed:
            self.log.warn('Received message of type "{kind}", which is not allowed. Ignoring.', kind=header.msg_type)
            return False
        self._remember(header, cursor, parts[0])
        client: Any = cursor.client
        outbox.put(parts, client)
        return True

    def _remember(self, header: Header, cursor: Cursor, data: Bytes) -> None:
        if not header.msg_type.endswith("_request"):
            return  # nothing else is replied to
        self._askers[header.msg_id] = cursor
        if len(self._askers) > ASKERS:
            del self._askers[next(iter(self._askers))]
        if header.msg_type == "execute_request":
            self._executing[header.msg_id] = bytes(data)

    def _waiting(self) -> set[str]:
        """The ids of what clients asked on the shell channel and the kernel was not given yet."""
        return {read_header(parts[0]).msg_id for parts in self._outboxes["shell"].waiting()}

    def _gone(self, cursor: Cursor, client: Any) -> None:
        self.messages.detach(cursor)
        for outbox in self._outboxes.values():
            outbox.left(client)

    def _rate_limit(self) -> RateLimit | None:
        settings = self.settings
        if not settings.limit_rate:
            return None
        return RateLimit(settings.iopub_msg_rate_limit, settings.iopub_data_rate_limit, settings.rate_limit_window)

    # -- from the kernel

    def _iopub(self, batch: Batch) -> None:
        """A turn's iopub messages: verified, their types read, appended to the log."""
        refusal = self._signer.refusal
        parent_bytes, parent = self._parent
        policy = self._policy
        untracked = policy.untracked_message_types
        hook: Callable[[str, Parts], None] | None = getattr(self._observer, "iopub_message", None)
        messages: list[Parts] = []
        active = False
        for message in batch:
            why = refusal(message)
            if why is not None:
                self._refuse(why)
                continue
            if self._version < OURS:
                message[1:] = adapted(message[1:], OURS)
            try:
                msg_type = read_type(message[1]).msg_type
            except UNREADABLE:
                self._refuse("header")
                continue
            if message[2] != parent_bytes:
                parent_bytes = message[2]
                parent = read_parent(parent_bytes)
            del message[0]
            if msg_type == "status":
                self._status(message[3], parent)
            elif msg_type == "error" and not policy.allow_tracebacks:
                message[3] = policy.shown(message[3])
            if hook is not None:
                hook(msg_type, message)
            active = active or self._busy or msg_type not in untracked or parent.msg_type not in untracked
            messages.append(message)
        self._parent = (parent_bytes, parent)
        if messages:
            if not self._readiness.heard:
                self._readiness.iopub_heard()
            self._append(b"iopub", messages)
            if self.watchers:
                self._tell_watchers(messages)
        if active:
            self._observer.activity()

    def _tell_watchers(self, messages: Sequence[Parts]) -> None:
        for parts in messages:
            heard = self.watchers.get(read_parent(parts[1]).msg_id)
            if heard is not None:
                heard(read_type(parts[0]).msg_type, parts)

    def _status(self, content: Bytes, parent: Parent) -> None:
        try:
            state = _read_status(content).execution_state
        except UNREADABLE:
            return
        if parent.msg_type not in self._policy.untracked_message_types:
            self._busy = state == "busy"
        if state == "idle" and parent.msg_type == "execute_request":
            self._endings.idle(parent.msg_id, parent.msg_id in self._executing)
        self._observer.status(state, parent.msg_type)

    def _newest(self) -> tuple[str, int] | None:
        if self._held_back:
            return None
        self._drain()
        return self._parent[1].msg_id, self.messages.next

    def _idle_is_missing(self, msg_id: str, header: bytes) -> None:
        self.log.warn("kernel {kernel_id} was not heard saying idle: messages are lost", kernel_id=self.kernel_id)
        said = self._author.message("status", {"execution_state": "idle"}, header)[1]
        text = "[jupyterd] The end of what this cell said is missing here: it was said faster than it could be read.\n"
        self._append(b"iopub", [self._author.notice(text, header), said])
        self._status(said[3], read_parent(header))
        self._tell_watchers([said])

    def _replies(self, channel: str, batch: Batch) -> None:
        """A turn's messages on a channel of replies: each goes to who asked."""
        name = channel.encode()
        for message in batch:
            why = self._signer.refusal(message)
            if why is not None:
                self._refuse(why)
                continue
            if self._version < OURS:
                message[1:] = adapted(message[1:], OURS)
            try:
                header = read_header(message[1])
            except UNREADABLE:
                self._refuse("header")
                continue
            del message[0]
            self._reply(name, header.msg_type, read_parent(message[1]), message)

    def _reply(self, channel: bytes, msg_type: str, parent: Parent, message: list[Bytes]) -> None:
        is_reply = msg_type.endswith("_reply")
        if parent.session == self._author.session:
            if is_reply:
                try:
                    self._inquiries.heard(parent.msg_id, message)
                except orjson.JSONDecodeError:
                    self._refuse("JSON")
            return
        cursor = self._askers.pop(parent.msg_id, None) if is_reply else self._askers.get(parent.msg_id)
        if msg_type == "execute_reply":
            header = self._executing.pop(parent.msg_id, None)
            if header is not None:
                self._endings.replied(parent.msg_id, header, self.messages.next)
            if not self._policy.allow_tracebacks and b'"traceback"' in bytes(message[3]):
                message[3] = self._policy.shown(message[3])
        cursor = cursor or self._places.of(parent.session)
        if cursor is None or cursor.number not in self.messages.cursors:
            self.log.warn("a kernel's {msg_type} to nobody known is dropped", msg_type=msg_type)
            return
        self._append(channel, [message], cursor.number)
        if parent.msg_id in self.watchers:
            self.watchers[parent.msg_id](msg_type, message)

    def _append(self, channel: bytes, messages: Sequence[Parts], to: int = 0) -> None:
        self.messages.append(Chunk(channel, messages, self._reactor.seconds(), to))

    def _refuse(self, why: str) -> None:
        self.refused[why] = self.refused.get(why, 0) + 1
        self.log.warn("a message of kernel {kernel_id} is refused: {why}", kernel_id=self.kernel_id, why=why)

    def _drain(self) -> None:
        if "iopub" in self._sockets:
            self._sockets["iopub"].drain()

    def _flow(self, on: bool) -> None:
        """The log's memory is full, or has room again."""
        self._held_back = not on
        if "iopub" in self._sockets:
            iopub = self._sockets["iopub"]
            (iopub.resume if on else iopub.pause)()

    # -- to the kernel

    def _post(self, channel: str, parts: Parts) -> bool:
        socket = self._sockets.get(channel)
        if socket is None:
            return False
        if self._version < OURS:
            parts = adapted(parts, self._version)
        return socket.send([DELIMITER, self._signer.sign(parts), *parts])

    def _writable(self, channel: str) -> None:
        if channel in self._outboxes:
            self._outboxes[channel].flush()

    def _ask_kernel_info(self, channel: str, waiter: Deferred[dict[str, Any]]) -> str:
        return self._inquiries.ask("kernel_info_request", {}, channel, waiter)

    def _let_through(self) -> None:
        """What clients said may reach the kernel from now on."""
        self._version = major_version(self._readiness.info)
        for outbox in self._outboxes.values():
            outbox.shut = False
            outbox.flush()

    def _history(self) -> int:
        config = self.settings.config
        return int(config["Session"].get("digest_history_size", HISTORY)) if "Session" in config else HISTORY

    def _zeromq(self) -> Network:
        from jupyterd.kernels.zmq import network_of

        return network_of(self._reactor)
