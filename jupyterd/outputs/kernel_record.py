"""Record of one kernel's cells: what they are doing, and where in its log their outputs begin."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

import orjson
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from jupyterd.kernels.messages.websocket_codec import COMMS, UNREADABLE, Bytes, Header, Parts, read_parent, read_type
from jupyterd.outputs.executions import Execution, InputRequest, cell_of, reply_of
from jupyterd.outputs.log_reader import LogReader
from jupyterd.outputs.said.cell_outputs import Output
from jupyterd.outputs.said.messages_to_outputs import Replay, Said
from jupyterd.outputs.said.widgets import Widgets

if TYPE_CHECKING:
    from jupyterd.kernels.channels.kernel_channels import KernelChannels
    from jupyterd.kernels.log.cursor import Cursor
    from jupyterd.kernels.log.message_log import MessageLog
    from jupyterd.outputs.ledger import ExecutionLedger
    from jupyterd.outputs.settings import OutputRecorder
    from jupyterd.system.threads import InThread

TOGETHER = 3.0
"""Seconds after its end in which an execution waits for others, so that the file is written once for many."""

TAKEN_OVER = 30.0
"""Seconds after its end in which a page that follows the kernel asks for an execution that it has not run itself."""

UNLINKED = 300.0
"""Seconds in which a page whose kernel has ended saves what it shows; JupyterLab does within two minutes."""

NAMELESS = "#"
"""Begins what a client without a session is known by: the next daemon's clients are others."""

FRESH = 10.0
"""Seconds for which it is known which notebooks run on a kernel; who writes asks again."""


class Overseer(Protocol):
    """Who decides when outputs are written."""

    def asked(self, record: KernelRecord, execution: Execution) -> None:
        """A cell is to be run."""

    def changed(self, record: KernelRecord) -> None:
        """An execution has ended, or a client came or left."""

    def closing(self, record: KernelRecord) -> Deferred[None]:
        """The kernel is gone; its log is there until the Deferred fires."""

    async def paths_of(self, kernel_id: str) -> list[str]:
        """The notebooks that run on a kernel."""


class KernelRecord:
    """One kernel's; a :class:`jupyterd.kernels.channels.recording.Recording`.

    :param seconds: the clock.
    :param ledger: writes down what the next daemon is to find again; nothing where it is None.
    :ivar executions: those whose outputs no file is known to hold, by message id, oldest first.
    :ivar paths: the notebooks that run on the kernel, as far as is known.
    :ivar away: until when each client that is gone may come back.
    :ivar opened: until when a page that was just opened may ask for what runs.
    :ivar gone: the kernel is.
    """

    log = Logger()

    def __init__(
        self,
        channels: KernelChannels,
        overseer: Overseer,
        settings: OutputRecorder,
        in_thread: InThread,
        seconds: Callable[[], float],
        ledger: ExecutionLedger | None = None,
    ) -> None:
        self.kernel_id = channels.kernel_id
        self.executions: dict[str, Execution] = {}
        self.paths: list[str] = []
        self.away: dict[str, float] = {}
        self.opened = 0.0
        self.gone = self._closing = False
        self.cursor: Cursor | None = None
        self._channels, self._overseer, self._settings = channels, overseer, settings
        self._in_thread, self._seconds, self._ledger = in_thread, seconds, ledger
        self._reader = LogReader(channels.messages, self.executions, in_thread, settings.max_cell_bytes)
        self._widgets = Widgets()
        self._followers: set[str] = set()
        self._last_asked = self._learnt = 0.0

    # -- what the channels tell

    def asked(self, header: Header, parts: Parts, cursor: Cursor) -> None:
        """See :class:`Recording`."""
        cell_id, path = cell_of(parts[2])
        if cell_id is None and path is None and not self.paths:
            return  # a console's
        log = self._channels.messages
        execution = Execution(header.msg_id, cell_id, path, log.next, bytes(parts[0]), bytes(parts[3]))
        execution.saver = key_of(cursor)
        execution.clients.add(execution.saver)
        execution.recorded = cursor.records
        execution.shorten()
        self._last_asked = execution.asked = max(self._seconds(), self._last_asked + 1e-6)  # their order is told by it
        while len(self.executions) >= max(1, self._settings.max_executions):
            self.forget(next(iter(self.executions.values())))
        self.executions[execution.id] = execution
        if self.cursor is None:
            self.cursor = log.open(position=log.next)
            self._reader.begin(self._widgets.output_widgets())
        self._overseer.asked(self, execution)
        self._remember(execution)
        if not self.paths or self._seconds() >= self._learnt + FRESH:
            self.learn()

    def _remember(self, execution: Execution, at_once: bool = True) -> None:
        if self._ledger is not None and not self._closing:
            self._ledger.remember(self.kernel_id, execution, at_once)

    async def restore(self) -> None:
        """See :class:`Recording`."""
        if self._ledger is None:
            return
        log = self._channels.messages
        for execution in await self._ledger.recall(self.kernel_id):
            execution.first = min(max(execution.first, log.oldest), log.next)
            self.executions[execution.id] = execution
            for key in execution.clients:
                if not key.startswith(NAMELESS):
                    self.away[key] = self._seconds() + self._settings.lost_page_timeout
        begin = min((each.first for each in self.executions.values()), default=log.next)
        await self._hear_again(log, begin)
        if self.executions:
            self.cursor = log.open(position=begin)
            self._overseer.changed(self)
            self.learn()

    async def _hear_again(self, log: MessageLog, begin: int) -> None:
        """Widgets, and how far cells are that are not over, as far as the log of the former daemon still tells.

        :param begin: from this number on outputs are read when they are asked for, by output widgets as they were then.
        """
        idle: list[str] = []
        had: dict[str, Any] | None = None
        async for chunk in log.since(log.oldest, None):
            if had is None and chunk.end > begin:
                had = self._widgets.output_widgets()
            for parts in chunk.messages:
                with suppress(*UNREADABLE):
                    self._hear_one_again(chunk.channel, parts, idle)
        self._reader.begin(self._widgets.output_widgets() if had is None else had)
        for msg_id in idle:
            self.told(msg_id, "idle")

    def _hear_one_again(self, channel: bytes, parts: Parts, idle: list[str]) -> None:
        """:param idle: which requests are over is added to it: their replies may stand behind."""
        msg_type = read_type(parts[0]).msg_type
        if channel == b"iopub" and msg_type in COMMS:
            self.comm(msg_type, parts)
        elif channel == b"shell" and msg_type == "execute_reply":
            self.replied(read_parent(parts[1]).msg_id, parts[3])
        elif channel == b"iopub" and msg_type == "status":
            msg_id = read_parent(parts[1]).msg_id
            if msg_id in self.executions:
                self.told(msg_id, "busy")
                if b'"idle"' in bytes(parts[3]):
                    idle.append(msg_id)

    def supersede(self, execution: Execution) -> None:
        """Its cell is run again, and will show the new outputs alone."""
        execution.superseded = True
        if execution.over:
            self.forget(execution)

    def told(self, msg_id: str, state: str) -> None:
        """See :class:`Recording`."""
        execution = self.executions.get(msg_id)
        if execution is None:
            return
        if state == "busy" and execution.started is None:
            execution.state, execution.started = "running", self._seconds()
            self._remember(execution, at_once=False)
        elif state == "idle":
            execution.idle = True
            if not self._channels.requests.is_open(msg_id):  # who asked has had the reply
                self._note_end(execution, "ok")
            self._end_if_over(execution)

    def _note_end(self, execution: Execution, state: str) -> None:
        if not execution.replied:
            execution.state, execution.replied, execution.input = state, True, None

    def replied(self, msg_id: str, content: Bytes) -> None:
        """See :class:`Recording`."""
        execution = self.executions.get(msg_id)
        if execution is None or execution.over:
            return
        reply = reply_of(content)
        execution.count = execution.count if reply.execution_count is None else reply.execution_count
        self._note_end(execution, reply.status if reply.status in ("ok", "aborted") else "error")
        execution.idle = execution.idle or reply.status == "aborted"
        self._end_if_over(execution)

    def _end_if_over(self, execution: Execution) -> None:
        if execution.replied and execution.idle and not execution.over:
            execution.ended = self._seconds()
            self._ended(execution)

    def _ended(self, execution: Execution) -> None:
        self._tell_widgets()
        if execution.superseded:
            self.forget(execution)
        else:
            self._remember(execution, at_once=False)
        self._overseer.changed(self)

    def wants_input(self, msg_id: str, parts: Parts) -> None:
        """See :class:`Recording`."""
        execution = self.executions.get(msg_id)
        if execution is None:
            return
        try:
            header, content = orjson.loads(parts[0]), orjson.loads(parts[3])
        except orjson.JSONDecodeError:
            return
        if isinstance(header, dict) and isinstance(content, dict):
            execution.input = InputRequest(header, content)

    def comm(self, msg_type: str, parts: Parts) -> None:
        """See :class:`Recording`."""
        self._widgets.hear(msg_type, parts)

    def input_given(self) -> None:
        """See :class:`Recording`."""
        for execution in self.executions.values():
            execution.input = None

    def readers(self, msg_id: str) -> list[Cursor]:
        """See :class:`Recording`."""
        execution = self.executions.get(msg_id)
        return [] if execution is None else list(self._here(execution))

    def came(self, cursor: Cursor) -> None:
        """See :class:`Recording`."""
        self.away.pop(key_of(cursor), None)
        self.learn()
        self._overseer.changed(self)

    def left(self, cursor: Cursor, said_goodbye: bool) -> None:
        """See :class:`Recording`."""
        key = key_of(cursor)
        if not self._closing and any(key in execution.clients for execution in self.executions.values()):
            grace = self._settings.closed_page_timeout if said_goodbye else self._settings.lost_page_timeout
            self.away[key] = self._seconds() + grace
            self._tell_widgets()
            self._overseer.changed(self)

    def lost(self, waiting: set[str]) -> None:
        """See :class:`Recording`."""
        self._widgets.clear()
        for execution in list(self.executions.values()):
            if not execution.over and execution.id not in waiting:
                execution.state = "aborted" if execution.started is None else "error"
                execution.ended, execution.input = self._seconds(), None
                self._ended(execution)

    def close(self) -> Deferred[None]:
        """See :class:`Recording`."""
        for cursor in self._channels.messages.attached:
            self.away[key_of(cursor)] = self._seconds() + UNLINKED
        self._closing = True
        if self._ledger is not None:
            self._ledger.leave_out(self.kernel_id)
        self.lost(set())
        return self._overseer.closing(self)

    # -- output widgets

    def _tell_widgets(self) -> None:
        """Where no page is there that does it, the kernel is told what its output widgets have taken."""
        if self._widgets.capturing and self._may_tell_widgets():
            Deferred.fromCoroutine(self._tell_untold()).addErrback(
                lambda failure: self.log.failure("what output widgets took can not be told to their kernel", failure)
            )

    def _may_tell_widgets(self) -> bool:
        """Not while cells run: then it would be told in their order behind them, and they may take more."""
        executions = self.executions.values()
        quiet = self.cursor is not None and not self._closing and all(each.over for each in executions)
        return quiet and not any(self.is_attended(each) for each in executions)

    async def _tell_untold(self) -> None:
        untold = await self._reader.read(self._untold)
        for comm_id, outputs in untold.items():
            said = await self._in_thread(orjson.dumps, outputs)
            self._widgets.took(comm_id, said)
            update = b'{"comm_id":%b,"data":{"method":"update","state":{"outputs":%b},"buffer_paths":[]}}'
            self._channels.tell("comm_msg", update % (orjson.dumps(comm_id), said))

    def _untold(self, replay: Replay) -> dict[str, list[Output]]:
        if not self._may_tell_widgets():
            return {}
        self._widgets.capturing = False
        return replay.captured.untold()

    # -- who is there

    def _here(self, execution: Execution) -> Iterator[Cursor]:
        for cursor in self._channels.messages.attached:
            if key_of(cursor) in execution.clients:
                yield cursor

    def is_attended(self, execution: Execution) -> bool:
        """A page that shows its outputs is connected."""
        return not self.gone and any(True for _ in self._here(execution))

    def is_shown(self, execution: Execution) -> bool:
        """A page shows its outputs, though it may have no kernel to be connected with any more."""
        now = self._seconds()
        left = self.gone and any(self.away.get(key, 0.0) > now for key in execution.clients)
        return left or self.is_attended(execution)

    def may_be_taken_over(self, execution: Execution) -> bool:
        """A page is there that shows what it did not run itself, and has had no time yet to ask for this."""
        new = execution.ended is None or self._seconds() < execution.ended + TAKEN_OVER
        return new and self._is_followed()

    def _is_followed(self) -> bool:
        return not self.gone and any(cursor.session in self._followers for cursor in self._channels.messages.attached)

    def due(self, execution: Execution) -> float | None:
        """When its outputs are to be written into the file; None while they are not."""
        if execution.ended is None or not execution.recorded or self.is_attended(execution):
            return None
        pause = TAKEN_OVER if self._is_followed() else TOGETHER
        back = [self.away.get(key, 0.0) for key in execution.clients]
        return max([execution.ended + pause, self.opened, *back])

    def follow(self, session: str) -> None:
        """The client of this session shows what others run, too."""
        here = {cursor.session for cursor in self._channels.messages.attached}
        self._followers = {each for each in self._followers if each in here} | {session}

    def attend(self, session: str, execution: Execution) -> None:
        """The client of this session shows its outputs from now on, and saves them if nobody who is there does."""
        if all(key_of(cursor) != execution.saver for cursor in self._channels.messages.attached):
            execution.saver = session
        if session not in execution.clients:
            execution.clients.add(session)
            self._remember(execution)

    def fence(self, session: str) -> str | None:
        """Send a client a message; all that it gets before that is in what is read next. The message's id."""
        for cursor in self._channels.messages.attached:
            if cursor.session == session:
                return self._channels.tell_state(cursor)
        return None

    # -- outputs

    def of_path(self, path: str) -> list[Execution]:
        """Those that may be of this notebook's cells."""
        return [
            each
            for each in self.executions.values()
            if each.visible
            and not each.superseded
            and (each.path == path if each.path is not None else path in self.paths)
        ]

    def size(self, execution: Execution) -> int:
        """Bytes, roughly, of what was read of an execution."""
        return self._reader.size(execution.id)

    async def outputs(self, wanted: list[Execution], for_pages: bool = False) -> dict[str, Said]:
        """What executions have said, by their ids, as of now; see :meth:`Replay.said`."""
        ids = [each.id for each in wanted]
        return await self._reader.read(lambda replay: replay.said(ids, for_pages))

    async def shown(self, wanted: list[Execution]) -> tuple[dict[str, Said], list[dict[str, Any]]]:
        """The same for a page, and the kernel's widgets as of now, if it is too busy to tell of them."""
        ids = [each.id for each in wanted]
        runs = any(not each.over for each in self.executions.values())
        widgets = self._widgets.models() if runs else []

        def now(replay: Replay) -> dict[str, Said]:
            captured = replay.captured.models() if widgets else {}
            for widget in widgets:
                if widget["comm_id"] in captured:
                    widget["data"]["state"]["outputs"] = captured[widget["comm_id"]]
            return replay.said(ids, for_pages=True)

        return await self._reader.read(now), widgets

    def forget(self, execution: Execution) -> None:
        """A file holds its outputs, or nobody wants them."""
        if self.executions.pop(execution.id, None) is None:
            return
        if self._ledger is not None:
            self._ledger.forget(self.kernel_id, execution.id)
        self._reader.forget(execution.id)
        wanted = {key for each in self.executions.values() for key in each.clients}
        self.away = {key: until for key, until in self.away.items() if key in wanted}
        log = self._channels.messages
        if self.cursor is None:
            return
        if self.executions:
            log.move(self.cursor, min(each.first for each in self.executions.values()))
        else:
            cursor, self.cursor = self.cursor, None
            log.forget(cursor)

    async def finish(self) -> None:
        """The kernel is gone: read all that its log has, which is needed no more."""
        try:
            await self.outputs([])
        finally:
            self.gone = True
            self._reader.end()
            cursor, self.cursor = self.cursor, None
            if cursor is not None:
                self._channels.messages.forget(cursor)

    # -- paths

    def learn(self) -> None:
        """Ask for the notebooks that run on the kernel."""
        self._learnt = self._seconds()
        Deferred.fromCoroutine(self.refresh_paths()).addErrback(lambda _: None)  # those known before are as good

    async def refresh_paths(self) -> None:
        """The notebooks that run on the kernel, as they are named now."""
        self.paths = await self._overseer.paths_of(self.kernel_id) or self.paths

    def model(self, execution: Execution, said: Said) -> dict[str, Any]:
        """As REST clients get it; see the documentation's page on outputs."""
        path = execution.path or (self.paths[0] if len(self.paths) == 1 else None)
        return {
            "msg_id": execution.id,
            "path": path,
            "cell_id": execution.cell_id,
            "state": execution.state,
            "execution_count": said.execution_count if execution.count is None else execution.count,
            "source_sha256": execution.code_hash,
            "started": execution.started,
            "ended": execution.ended,
            "outputs": said.outputs,
            "clear_next": said.clears_next,
            "idle": said.idle,
            "last_msg_id": said.last_msg_id,
            "input_request": execution.input_model(),
            "saved": execution.in_file,
            "no_place": next(iter(execution.waiting.values()), None),
        }


def key_of(cursor: Cursor) -> str:
    """By what a client is known: its session, or its place where it has none."""
    return cursor.session or f"{NAMELESS}{cursor.number}"
