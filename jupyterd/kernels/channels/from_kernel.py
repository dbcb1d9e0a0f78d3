"""Messages from one kernel: verified, its state read from them, put into the log for all or for who asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec
import orjson
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from jupyterd.kernels.channels.client_requests import ToKernel
from jupyterd.kernels.channels.drop_detector import DropDetector
from jupyterd.kernels.channels.kernel_sockets import KernelSockets
from jupyterd.kernels.channels.missing_idle import MissingIdles
from jupyterd.kernels.channels.policy import MessagePolicy, Observer
from jupyterd.kernels.channels.readiness import Readiness
from jupyterd.kernels.channels.recording import Recording
from jupyterd.kernels.channels.server_requests import ServerRequests
from jupyterd.kernels.channels.session_cursors import SessionCursors
from jupyterd.kernels.log.chunk import Chunk
from jupyterd.kernels.log.cursor import Cursor
from jupyterd.kernels.log.cursor_file import named
from jupyterd.kernels.log.journal import Journal
from jupyterd.kernels.log.message_log import MessageLog
from jupyterd.kernels.log.totals import MessageTotals
from jupyterd.kernels.messages.adapter import OURS, adapted
from jupyterd.kernels.messages.server_session import ServerSession
from jupyterd.kernels.messages.websocket_codec import (
    COMMS,
    NO_PARENT,
    UNREADABLE,
    Bytes,
    Parent,
    Parts,
    read_header,
    read_parent,
    read_type,
)

if TYPE_CHECKING:
    from jupyterd.kernels.zeromq.network import Batch


class _State(msgspec.Struct, gc=False):
    """What is read of a content, of a ``status`` or of a reply."""

    execution_state: str = ""
    status: str = ""


_decode_state = msgspec.json.Decoder(_State).decode


def _read_state(content: Bytes) -> _State:
    try:
        return _decode_state(content)
    except UNREADABLE:
        return _State()


END_MISSING = "The end of what this cell said is missing here: it was said faster than it could be read."
NOT_RUN = "This cell was not run: the server ended before its kernel had got it."

FOR_CLIENTS = ("execute_reply", "input_request")
"""What a kernel says to who asked, and never to a former daemon itself."""


class FromKernel:
    """Takes the messages of one kernel.

    :ivar watchers: who is told of each message in answer to a request, by the request's id; told with None when it
        is lost.
    :ivar journal: counts what the kernel says, and knows the signature of the last of it; None where nothing is kept.
    :ivar recording: who is told of requests and replies; None where nobody is.
    :ivar state: what the kernel does, as far as its own messages tell: ``busy``, ``idle`` or ''.
    """

    log = Logger()

    def __init__(
        self,
        kernel_id: str,
        clock: Any,
        messages: MessageLog,
        line: KernelSockets,
        *,
        server_session: ServerSession,
        requests: ToKernel,
        session_cursors: SessionCursors,
        inquiries: ServerRequests,
        readiness: Readiness,
        policy: MessagePolicy,
        observer: Observer,
        totals: MessageTotals | None = None,
    ) -> None:
        self.totals = totals or MessageTotals()
        self.recording: Recording | None = None
        self.watchers: dict[str, Callable[[str, Parts | None], None]] = {}
        self._kernel_id = kernel_id
        self._clock, self._messages, self._sockets_of_kernel = clock, messages, line
        self._server_session, self._requests, self._session_cursors = server_session, requests, session_cursors
        self._server_requests, self._readiness = inquiries, readiness
        self._policy, self._observer = policy, observer
        self._parent: tuple[Bytes, Parent] = (b"{}", NO_PARENT)
        self._last_header: Bytes = b"{}"
        self._missing_idles = MissingIdles(clock, self._idle_is_missing, self._newest)
        self._drop_detector = DropDetector()
        self._busy = self._runs_code = False
        self._state_of = ""
        self.journal: Journal | None = None
        self._held: list[Batch] | None = None
        self._heard: Deferred[None] | None = None
        self._known: set[str] | None = None
        self._resumes = False
        self._begun: set[str] = set()
        self._not_run: set[str] = set()

    @property
    def state(self) -> str:
        """See the class."""
        if self._busy or self._runs_code:
            return "busy"  # what is done beside the cell that runs, on control, says idle when it is done
        return "idle" if self._readiness.info else ""

    @property
    def session(self) -> str:
        """The session under which the kernel speaks; empty before it has."""
        return read_parent(self._last_header).session

    def append(self, channel: bytes, messages: Sequence[Parts], to: int = 0, mark: Bytes = b"") -> None:
        """Put messages into the log.

        :param mark: the signature of the last of them, where the kernel said them all on iopub.
        """
        chunk = Chunk(channel, messages, self._clock.seconds(), to)
        if mark and self.journal is not None:
            chunk.name = named(mark)
        self._messages.append(chunk)

    def lose(self, why: str, waiting_too: bool = False) -> None:
        """What the kernel has got and will not reply to gets an error in place of the reply, and its ``idle``.

        :param why: for people.
        :param waiting_too: also what waits for the next process: there is none.
        """
        error: dict[str, Any] = {
            "status": "error",
            "ename": "DeadKernelError",
            "evalue": why,
            "traceback": [],
            "execution_count": None,
        }
        for asked in self._requests.lost(waiting_too):
            if not asked.header or asked.cursor.number not in self._messages.cursors:
                continue
            idle = self._server_session.message("status", {"execution_state": "idle"}, asked.header)[1]
            self.append(b"iopub", [idle], 0 if asked.msg_type == "execute_request" else asked.cursor.number)
            kind = asked.msg_type.removesuffix("_request") + "_reply"
            reply = self._server_session.message(kind, error, asked.header)[1]
            self._messages.reply(read_header(asked.header).msg_id)
            self.append(asked.channel.encode(), [reply], asked.cursor.number)

    def end(self, why: str = "The kernel ended before it replied.") -> None:
        """The process says nothing more: what it has got and not answered is lost."""
        self.lose(why)
        self._busy = self._runs_code = False
        self._drop_detector = DropDetector()
        self._missing_idles.end()
        self._begun.clear()
        self._not_run.clear()
        waiting = self._requests.given_up()
        if self.recording is not None:
            self.recording.lost(waiting)
        for msg_id, heard in list(self.watchers.items()):
            if msg_id not in waiting:
                heard("", None)

    # -- iopub

    def iopub(self, batch: Batch) -> None:
        """A turn's iopub messages: verified, their types read, appended to the log."""
        if self._held is not None:
            self._hold(batch)
            return
        if self._known is not None:
            batch = [message for message in batch if not self._is_known(message)]
        self.iopub_again(batch)

    def iopub_again(self, batch: Batch) -> None:
        """The same of messages that somebody else has heard, in our place."""
        refusal = self._sockets_of_kernel.signer.refusal
        is_older = self._sockets_of_kernel.version < OURS
        parent_bytes, parent = self._parent
        parent_before = parent_bytes
        policy = self._policy
        untracked = policy.untracked_message_types
        messages: list[Parts] = []
        active = False
        marks: list[Bytes] = []
        for message in batch:
            why = refusal(message)
            if why is not None:
                self._refuse(why)
                continue
            if is_older:
                message[1:] = adapted(message[1:], OURS)
            try:
                msg_type = read_type(message[1]).msg_type
            except UNREADABLE:
                self._refuse("header")
                continue
            if message[2] != parent_bytes:
                parent_bytes = message[2]
                parent = read_parent(parent_bytes)
            marks.append(message[0])
            del message[0]
            if msg_type == "status":
                self._status(message[3], parent)
            elif msg_type == "error" and not policy.allow_tracebacks:
                message[3] = policy.shown(message[3])
            elif msg_type in COMMS and self.recording is not None:
                self.recording.comm(msg_type, message)
            active = active or self._busy or msg_type not in untracked or parent.msg_type not in untracked
            messages.append(message)
        self._parent = (parent_bytes, parent)
        if messages:
            self._take(messages, marks, parent_before)
        if active:
            self._observer.activity()

    def _take(self, messages: list[Parts], marks: list[Bytes], parent_before: Bytes) -> None:
        """Append what was verified to the log; what is missing before it is told first.

        :param marks: the messages' signatures.
        :param parent_before: the parent header of the message before them.
        """
        self.totals.from_kernels["iopub"] += len(messages)
        self._last_header = bytes(messages[-1][0])
        if not self._readiness.heard:
            self._readiness.iopub_heard()
        if self.journal is not None:
            self.journal.said += len(messages)
            self.journal.mark = marks[-1]
        gaps = self._drop_detector.before(messages)
        begin = self._tell_gaps(messages, marks, gaps, bytes(parent_before)) if gaps else 0
        self.append(b"iopub", messages[begin:] if begin else messages, mark=marks[-1])
        if self.watchers:
            self._tell_watchers(messages)

    # -- gone on with after another daemon

    def remind(self, chunks: Sequence[Chunk]) -> None:
        """What the kernel said last, to a former daemon: its state and the numbers that it gives follow from it."""
        for chunk in chunks:
            if chunk.channel != b"iopub" or chunk.lost or not chunk.messages:
                continue
            self._drop_detector.before(chunk.messages)
            for parts in chunk.messages:
                with suppress(*UNREADABLE):
                    parent = read_parent(parts[1])
                    if self._requests.is_executing(parent.msg_id):
                        self._begun.add(parent.msg_id)
                    if read_type(parts[0]).msg_type == "status" and parent.msg_type:
                        self._status(parts[3], parent)
                        self._parent = (bytes(parts[1]), parent)
        self._resumes = True
        self._drop_detector.look_closely(True)

    def hold(self, known: set[str]) -> None:
        """Keep what comes on iopub until :meth:`let_go`: what came before it is still being read.

        :param known: the ids of messages that are in the log already; it grows meanwhile.
        """
        self._held, self._known = [], known

    def _hold(self, batch: Batch) -> None:
        assert self._held is not None
        self._held.append(batch)
        if not self._readiness.heard:
            self._readiness.iopub_heard()
        waiting, self._heard = self._heard, None
        if waiting is not None:
            waiting.callback(None)

    def when_heard(self) -> Deferred[None]:
        """Fires when something is kept; see :meth:`hold`."""
        heard: Deferred[None] = Deferred()
        self._heard = heard
        if self._held:
            self._heard = None
            heard.callback(None)
        return heard

    def first_held(self) -> str:
        """The id of the first message that is kept; empty where there is none, or it can not be read."""
        for batch in self._held or ():
            for message in batch:
                with suppress(*UNREADABLE):
                    return read_header(message[1]).msg_id
        return ""

    def let_go(self) -> None:
        """All before is in the log: what was kept follows, less what is there already."""
        held, self._held, self._heard = self._held or [], None, None
        for batch in held:
            self.iopub(batch)

    def forget_known(self) -> None:
        """Nothing comes any more that is in the log already, nor after what nobody heard."""
        self._known = None
        self._resumes = False
        self._drop_detector.look_closely(False)

    def _is_known(self, message: Parts) -> bool:
        assert self._known is not None
        try:
            return read_header(message[1]).msg_id in self._known
        except UNREADABLE:
            return False

    def tell(self, text: str) -> None:
        """A line on stderr, below the request that was last."""
        self.append(b"iopub", [self._server_session.notice(text, bytes(self._parent[0]))])

    def is_begun(self, msg_id: str) -> bool:
        """Whether the kernel was heard to run this request, which it has not replied to."""
        return msg_id in self._begun

    def replies_are_lost(self, channel: str, header: bytes, reply: Parts, not_run: bool = False) -> None:
        """There will be no reply of the kernel's: ``reply`` stands for it.

        :param not_run: the kernel never got the request, as far as was heard; else nobody heard its reply.
        """
        self.log.warn("kernel {kernel_id}: a reply is lost", kernel_id=self._kernel_id)
        if not_run:
            self._not_run.add(read_header(header).msg_id)
        self._reply(channel.encode(), read_header(reply[0]).msg_type, read_parent(header), list(reply))

    def _tell_gaps(
        self, messages: Sequence[Parts], marks: Sequence[Bytes], gaps: Sequence[tuple[int, int]], parent: bytes
    ) -> int:
        """Append ``messages`` up to the last gap, and a line where some are missing, below the request of what came
        before; the index of what follows.

        :param marks: their signatures.
        :param parent: that of what came before them all.
        """
        begin = 0
        for index, count in gaps:
            self.totals.dropped += count
            self.totals.gaps += 1
            self.log.warn("kernel {kernel_id} dropped about {count} messages", kernel_id=self._kernel_id, count=count)
            text = (
                f"[jupyterd] About {count} messages are missing here: they were said faster than they could be read.\n"
            )
            if index > begin:
                self.append(b"iopub", messages[begin:index], mark=marks[index - 1])
            before = bytes(messages[index - 1][1]) if index else parent
            self.append(b"iopub", [self._server_session.notice(text, before)])
            begin = index
        return begin

    def _tell_watchers(self, messages: Sequence[Parts]) -> None:
        for parts in messages:
            heard = self.watchers.get(read_parent(parts[1]).msg_id)
            if heard is not None:
                heard(read_type(parts[0]).msg_type, parts)

    def _status(self, content: Bytes, parent: Parent) -> None:
        state = _read_state(content).execution_state
        if not state:
            return
        if parent.msg_type not in self._policy.untracked_message_types:
            self._busy = state == "busy"
            self._state_of = parent.msg_id
        if parent.msg_type == "execute_request":
            self._runs_code = state == "busy"
            if state == "busy":
                self._not_run.discard(parent.msg_id)
                if self._requests.is_executing(parent.msg_id):
                    self._begun.add(parent.msg_id)
            elif state == "idle":
                self._begun.discard(parent.msg_id)
                self._missing_idles.idle(parent.msg_id, self._requests.is_executing(parent.msg_id))
            if self.recording is not None:
                self.recording.told(parent.msg_id, state)
        self._observer.status(state, parent.msg_type)

    def _newest(self) -> tuple[str, int] | None:
        if not self._sockets_of_kernel.drain():
            return None
        return self._parent[1].msg_id, self._messages.next

    def _idle_is_missing(self, header: bytes, ran: bool) -> None:
        self.log.warn("kernel {kernel_id} was not heard saying idle: messages are lost", kernel_id=self._kernel_id)
        said = self._server_session.message("status", {"execution_state": "idle"}, header)[1]
        request = read_parent(header)
        text = f"[jupyterd] {NOT_RUN if request.msg_id in self._not_run else END_MISSING}\n"
        self._not_run.discard(request.msg_id)
        self._begun.discard(request.msg_id)
        self.append(b"iopub", [self._server_session.notice(text, header), said] if ran else [said])
        if self._state_of == request.msg_id:  # else it has turned to something else
            self._status(said[3], request)
        elif self.recording is not None:
            self.recording.told(request.msg_id, "idle")
        self._tell_watchers([said])

    # -- replies

    def replies(self, channel: str, batch: Batch) -> None:
        """A turn's messages on a channel of replies: each goes to who asked."""
        name = channel.encode()
        self.totals.from_kernels[channel] += len(batch)
        for message in batch:
            why = self._sockets_of_kernel.signer.refusal(message)
            if why is not None:
                self._refuse(why)
                continue
            if self._sockets_of_kernel.version < OURS:
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
        if parent.session == self._server_session.session:
            if is_reply:
                try:
                    self._server_requests.heard(parent.msg_id, message)
                except orjson.JSONDecodeError:
                    self._refuse("JSON")
            return
        cursor = self._requests.asker(parent.msg_id, is_reply)
        if msg_type == "execute_reply":
            self._executed(parent.msg_id, message)
        cursor = cursor or self._session_cursors.of(parent.session)
        if self.recording is not None:
            self._record(self.recording, channel, msg_type, parent, message, cursor)
        if cursor is None or cursor.number not in self._messages.cursors:
            if self._resumes and msg_type in FOR_CLIENTS:  # who asked was not written down: one of them knows it
                self.append(channel, [message])
            elif not self._resumes:  # else it is to a former daemon
                self.log.warn("a kernel's {msg_type} to nobody known is dropped", msg_type=msg_type)
            return
        if is_reply:
            self._messages.reply(parent.msg_id)
        self.append(channel, [message], cursor.number)
        if parent.msg_id in self.watchers:
            self.watchers[parent.msg_id](msg_type, message)

    def _record(
        self,
        recording: Recording,
        channel: bytes,
        msg_type: str,
        parent: Parent,
        message: list[Bytes],
        asker: Cursor | None,
    ) -> None:
        if msg_type == "execute_reply":
            recording.replied(parent.msg_id, message[3])
        elif msg_type == "input_request":
            recording.wants_input(parent.msg_id, message)
            for reader in recording.readers(parent.msg_id):
                if reader is not asker:  # a page that was reloaded can answer too
                    self.append(channel, [message], reader.number)

    def _executed(self, msg_id: str, message: list[Bytes]) -> None:
        header = self._requests.executed(msg_id)
        if header is not None:
            ran = _read_state(message[3]).status != "aborted"
            self._missing_idles.replied(msg_id, header, self._messages.next, ran)
        if not self._policy.allow_tracebacks and b'"traceback"' in bytes(message[3]):
            message[3] = self._policy.shown(message[3])

    def _refuse(self, why: str) -> None:
        self.totals.refused[why] = self.totals.refused.get(why, 0) + 1
        self.log.warn("a message of kernel {kernel_id} is refused: {why}", kernel_id=self._kernel_id, why=why)
