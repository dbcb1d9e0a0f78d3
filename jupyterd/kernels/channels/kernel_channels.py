"""Channels of one kernel: one set of ZeroMQ sockets, one message log, any number of websockets."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, cast

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from jupyterd.errors import Failed
from jupyterd.kernels.channels.client_requests import CHANNELS, ToKernel
from jupyterd.kernels.channels.end_of_log import Closing
from jupyterd.kernels.channels.executions import Executions
from jupyterd.kernels.channels.from_kernel import FromKernel
from jupyterd.kernels.channels.kernel_sockets import KernelSockets
from jupyterd.kernels.channels.policy import MessagePolicy, Observer
from jupyterd.kernels.channels.readiness import Readiness
from jupyterd.kernels.channels.recording import Recording
from jupyterd.kernels.channels.server_requests import ServerRequests
from jupyterd.kernels.channels.session_cursors import SessionCursors
from jupyterd.kernels.log.cursor import Client, Cursor
from jupyterd.kernels.log.cursor_file import FILE, CursorFile
from jupyterd.kernels.log.journal import Journal
from jupyterd.kernels.log.message_log import MessageLog
from jupyterd.kernels.log.rate_limit import RateLimit
from jupyterd.kernels.log.recent_notes import RecentNotes
from jupyterd.kernels.log.spill import Spill
from jupyterd.kernels.log.totals import MessageTotals
from jupyterd.kernels.messages.adapter import major_version
from jupyterd.kernels.messages.server_session import ServerSession
from jupyterd.kernels.messages.websocket_codec import Parts
from jupyterd.kernels.recovery.execution_files import ExecutionFiles
from jupyterd.kernels.recovery.resuming_log import Resuming
from jupyterd.kernels.recovery.standin import Standin

if TYPE_CHECKING:
    from jupyterd.kernels.channels.kernel_send_queue import Sender
    from jupyterd.kernels.channels.settings import ZMQChannelsWebsocketConnection
    from jupyterd.kernels.zeromq.network import Batch, Network
    from jupyterd.system.threads import InThread


class ChannelsClient(Client, Protocol):
    """A websocket, as its kernel's channels see it."""

    def pause_client(self) -> None:
        """Read nothing more from the client."""

    def resume_client(self) -> None:
        """Read from the client again."""

    def finish(self) -> None:
        """Close, after what is being written."""


class KernelChannels:
    """The message log of one kernel, what feeds it and who reads it.

    :param spill_dir: a directory of this kernel's own, made when it is needed and removed at the end.
    :param policy: what the manager's settings say about messages.
    :param standin: hears the kernel while no daemon does; None where the log ends with the daemon.
    :param network: where sockets come from; the reactor's ZeroMQ context if None.
    :param totals: counts for all kernels of a daemon.
    :param recording: makes what records which cells are run; nothing where it is None.
    :ivar messages: the log.
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
        recording: Callable[[KernelChannels], Recording] | None = None,
        standin: Standin | None = None,
        totals: MessageTotals | None = None,
    ) -> None:
        totals = totals or MessageTotals()
        self.kernel_id = kernel_id
        self._clock, self._in_thread = reactor, in_thread
        self.settings = settings
        self._policy = policy or MessagePolicy()
        self._closed = False
        self._server_session = ServerSession(reactor.seconds)
        self._sockets_of_kernel = KernelSockets(reactor, settings, network)
        self.messages = self._make_log(spill_dir, totals)
        self._session_cursors = SessionCursors(self.messages, reactor)
        self._closing = Closing(self.messages, self._session_cursors, reactor)
        self._requests = ToKernel(self._sockets_of_kernel.post, settings.client_buffer_bytes, self._policy, totals)
        self._server_requests = ServerRequests(self._server_session, reactor, self._requests.at_once)
        self._readiness = Readiness(reactor, self._ask_kernel_info, self._server_requests.unask, self._let_through)
        self._from_kernel = self._make_from_kernel(observer, totals)
        self._standin = standin if settings.message_log_on_disk else None
        self._resumed: Resuming | None = None
        files = None
        if self._standin is not None:
            self._keep_log(spill_dir, self._standin)
            files = ExecutionFiles(os.path.join(spill_dir, "executions"), in_thread)
        self.executions = Executions(self, reactor, settings.offline_session_timeout, files)
        self.recording: Recording | None = None if recording is None else recording(self)
        self._requests.recording = self._from_kernel.recording = self.recording

    def _make_log(self, directory: str, totals: MessageTotals) -> MessageLog:
        settings = self.settings
        return MessageLog(
            Spill(directory, settings.message_log_disk_bytes),
            self._in_thread,
            retained=settings.message_log_retained_bytes,
            memory=settings.message_log_memory_bytes,
            late=settings.coalesce_stream_after,
            clock=self._clock,
            flow=self._sockets_of_kernel.flow,
            notice=self._server_session.notice,
            totals=totals,
        )

    def _make_from_kernel(self, observer: Observer, totals: MessageTotals) -> FromKernel:
        return FromKernel(
            self.kernel_id,
            self._clock,
            self.messages,
            self._sockets_of_kernel,
            server_session=self._server_session,
            requests=self._requests,
            session_cursors=self._session_cursors,
            inquiries=self._server_requests,
            readiness=self._readiness,
            policy=self._policy,
            observer=observer,
            totals=totals,
        )

    def _keep_log(self, directory: str, standin: Standin) -> None:
        """Have the log outlive the daemon."""
        store, requests = self.messages.store, self._requests
        journal = Journal(
            directory,
            self._in_thread,
            self._clock,
            kept=lambda: store.first,
            asked=requests.notes,
            stored=standin.stored,
            recent=RecentNotes(os.path.join(directory, "asked")),
        )
        store.journal = requests.journal = self._from_kernel.journal = journal
        self.messages.cursor_file = CursorFile(os.path.join(directory, FILE))

    # -- for what goes on after a former daemon: see :mod:`jupyterd.kernels.recovery.resuming_log`

    @property
    def closed(self) -> bool:
        """Whether the kernel is gone."""
        return self._closed

    @property
    def from_kernel(self) -> FromKernel:
        """What it says."""
        return self._from_kernel

    @property
    def requests(self) -> ToKernel:
        """What it is asked."""
        return self._requests

    @property
    def session_cursors(self) -> SessionCursors:
        """Where its sessions are."""
        return self._session_cursors

    @property
    def server_session(self) -> ServerSession:
        """Makes the server's own messages."""
        return self._server_session

    async def resume(self, info: dict[str, Any], *, lives: bool, listened: bool) -> None:
        """Go on with the log of a former daemon, and what the keeper has heard since; :meth:`connect` follows.

        :param info: by its key messages are verified.
        :param lives: the kernel runs.
        :param listened: the keeper has listened; if not, it was killed too.
        """
        if self._standin is None:
            return
        self._sockets_of_kernel.verify(info)
        resuming = Resuming(self, self._standin, self._clock, listened=lives and listened)
        executions = self.executions
        handed_in = await executions.recall()
        await resuming.restore(self._in_thread, lambda: executions.restore(handed_in))
        if self.recording is not None:
            await self.recording.restore()
        await executions.catch_up()
        await resuming.catch_up()
        self._resumed = resuming if lives else None

    # -- for the kernel's life

    @property
    def connections(self) -> int:
        """How many websockets are open."""
        return len(self.messages.attached)

    @property
    def executing(self) -> Sequence[tuple[str, bytes]]:
        """``(msg_id, header)`` of each execute_request that the kernel has got and not replied to, oldest first."""
        return self._requests.executing

    @property
    def watchers(self) -> dict[str, Callable[[str, Parts | None], None]]:
        """Who is told of each message in answer to a request; see :class:`FromKernel`."""
        return self._from_kernel.watchers

    @property
    def refused(self) -> dict[str, int]:
        """How many messages of the kernel were not taken, by reason."""
        return self._from_kernel.totals.refused

    def connect(self, connection_info: dict[str, Any]) -> None:
        """(Re)open the sockets; again after a restart, as ports and key may differ.

        The same info twice does nothing. What clients say waits until the kernel answers and its iopub is heard.
        """
        if self._closed or self._sockets_of_kernel.leads_to(connection_info):
            return
        resumed, self._resumed = self._resumed, None
        if resumed is None:
            self.disconnect()
        if self._standin is not None:
            self._standin.listen(connection_info, again=resumed is not None and resumed.listened)
        from_kernel = self._from_kernel
        received: dict[str, Callable[[Batch], None]] = {"iopub": from_kernel.iopub}
        for channel in CHANNELS:
            received[channel] = partial(from_kernel.replies, channel)
        self._sockets_of_kernel.open(connection_info, received, self._requests.flush)
        self._readiness.begin(self.settings.kernel_info_timeout)
        if resumed is not None:
            resumed.go_on()

    def new_keeper(self) -> None:
        """The keeper was killed; another one is to listen along."""
        if self._standin is not None and not self._closed:
            self._standin.new_keeper()
            for cursor in self.messages.attached:
                client: Any = cursor.client
                client.hold_again()

    def hold(self) -> None:
        """Its process is to end: what clients say from now on waits for the next one."""
        self._requests.shut()

    def lose(self, why: str) -> None:
        """Its process has ended: who waits for a reply of it gets an error, which says why."""
        self._sockets_of_kernel.drain()
        self._sockets_of_kernel.drain_replies()
        self._from_kernel.lose(why)

    def disconnect(self) -> None:
        """Close the ZeroMQ sockets; log, cursors and websockets stay."""
        self._readiness.end()
        self.hold()
        self._sockets_of_kernel.close()
        self._from_kernel.end()

    async def leave(self) -> None:
        """The daemon ends and the kernel does not: close its websockets, leave its log to the next daemon."""
        if self._standin is not None:
            with suppress(Failed):
                await self._standin.record(
                    self._clock
                )  # it hears all from now on: what both have heard is known by its id
        self._sockets_of_kernel.drain()
        self._closed = True
        self._readiness.end()
        self._sockets_of_kernel.close()
        journal = self.messages.store.journal
        if journal is not None:
            await journal.flush()
        for cursor in list(self.messages.attached):
            client: Any = cursor.client
            client.leave()
        self.messages.leave()
        await self.executions.written()
        self.executions.leave()

    def close(self, reason: str = "") -> None:
        """The kernel is gone for good: close its websockets, forget its log, remove its spill.

        Websockets have a second to go by themselves; those that lag have some more to read what is left for them.
        """
        if self._closed:
            return
        reason = reason or "The kernel is gone"
        self.lose(reason)
        self._from_kernel.lose(reason, waiting_too=True)
        self.disconnect()
        self._closed = True
        self.executions.close()
        self._readiness.fail(reason)
        self._server_requests.fail(reason)
        recording = self.recording
        self._closing.begin(*((None, None) if recording is None else (recording.cursor, recording.close())))

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
        return await self._server_requests.reply(msg_type, content, channel, timeout)

    def tell(self, msg_type: str, content: bytes) -> None:
        """Tell the kernel something to which it does not reply, on shell and on the server's own behalf.

        Nothing where there is no kernel that answers.
        """
        if self._from_kernel.state:
            self._requests.at_once("shell", self._server_session.message(msg_type, content)[1])

    def announce(self, msg_type: str, content: dict[str, Any], parent_header: bytes = b"{}") -> None:
        """Put a message made by the server on iopub, behind all that the kernel said before."""
        self._sockets_of_kernel.drain()
        self._from_kernel.append(b"iopub", [self._server_session.message(msg_type, content, parent_header)[1]])

    # -- for websockets and REST

    def now(self) -> str:
        """The time as headers have it."""
        return self._server_session.now()

    @property
    def standin(self) -> Standin | None:
        """Who hears the kernel, and keeps clients' connections, while no daemon does."""
        return self._standin

    def attach(self, client: ChannelsClient, session_id: str | None) -> Cursor:
        """A websocket is open: it gets what its session has missed, then all that follows.

        A session that is new is told first what the kernel does: it has heard nothing of a cell that runs.
        A websocket of the same session that is still open is closed: its client has lost it.
        """
        is_new = not session_id or self._session_cursors.of(session_id) is None
        cursor = self._session_cursors.take(session_id)
        if cursor.client is not None:
            self.log.warn("a websocket of session {session} is replaced", session=session_id)
            stale: Any = cursor.client
            self._gone(cursor, stale)
            stale.finish()
        cursor.limit = self._rate_limit()
        self.messages.attach(cursor, client)
        if is_new:
            self.tell_state(cursor)
        if self.recording is not None:
            self.recording.came(cursor)
        return cursor

    def tell_state(self, cursor: Cursor) -> str | None:
        """Tell one client alone what the kernel does; the id of that ``status`` message, None where it is not known.

        It is told in the kernel's own session: JupyterLab leaves what waits to be shown when another session speaks.
        """
        state = self._from_kernel.state
        if not state:
            return None
        executing = self._requests.executing if state == "busy" else []
        parent = executing[0][1] if executing else b"{}"
        content = {"execution_state": state}
        msg_id, message = self._server_session.message("status", content, parent, self._from_kernel.session)
        self._from_kernel.append(b"iopub", [message], cursor.number)
        return msg_id

    def detach(self, cursor: Cursor, client: ChannelsClient, said_goodbye: bool) -> None:
        """A websocket is closed: its session's place is kept for a while.

        :param said_goodbye: the client closed it, so that it is less likely to come back.
        """
        if cursor.client is not client:
            return
        self._gone(cursor, client)
        if self.recording is not None:
            self.recording.left(cursor, said_goodbye)
        if cursor.session is None or self._closed or not self._policy.buffer_offline_messages:
            self._session_cursors.forget(cursor)
            self._closing.one_left()
            return
        grace = self.settings.closed_session_timeout if said_goodbye else self.settings.offline_session_timeout
        self._session_cursors.keep(cursor, grace)

    def send(self, cursor: Cursor, channel: str, parts: Parts) -> bool:
        """A client's message to the kernel; whether it is taken.

        What the reference ignores with a warning (an unknown channel, a type that is not allowed, a header that can
        not be read) is ignored here too.
        """
        return self._requests.take(cursor, channel, parts, cast("Sender | None", cursor.client))

    def _gone(self, cursor: Cursor, client: Any) -> None:
        self.messages.detach(cursor)
        self._requests.left(client)

    def _rate_limit(self) -> RateLimit | None:
        settings = self.settings
        if not settings.limit_rate:
            return None
        return RateLimit(settings.iopub_msg_rate_limit, settings.iopub_data_rate_limit, settings.rate_limit_window)

    # -- to the kernel

    def _ask_kernel_info(self, channel: str, waiter: Deferred[dict[str, Any]]) -> str:
        return self._server_requests.ask("kernel_info_request", {}, channel, waiter)

    def _let_through(self) -> None:
        """What clients said may reach the kernel from now on."""
        self._sockets_of_kernel.version = major_version(self._readiness.info)
        self._requests.let_through()
