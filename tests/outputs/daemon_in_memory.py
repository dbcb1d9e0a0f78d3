"""Kit of tests of outputs: a daemon's kernels, contents and recorder in memory; one kernel, one clock, real files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import orjson
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from jupyterd.app.contents import mount as mount_contents
from jupyterd.contents.event_queue import EventQueue
from jupyterd.contents.managers.largefilemanager import AsyncLargeFileManager
from jupyterd.contents.service import Contents
from jupyterd.contents.thread_pools import ThreadPools
from jupyterd.errors import NotFound
from jupyterd.kernels.channels.kernel_channels import KernelChannels
from jupyterd.kernels.channels.settings import ZMQChannelsWebsocketConnection
from jupyterd.kernels.websocket.resource import ChannelsResource
from jupyterd.outputs.kernel_record import KernelRecord
from jupyterd.outputs.ledger import ExecutionLedger
from jupyterd.outputs.recorder import Recorder
from jupyterd.outputs.resource import ExecutionsResource
from jupyterd.outputs.runs.routes import RunRoutes
from jupyterd.outputs.runs.runs import Runs
from jupyterd.outputs.settings import OutputRecorder
from jupyterd.state.store import StateStore
from jupyterd.testing.deferreds import at_once, result_of
from jupyterd.testing.http import MemorySite
from jupyterd.testing.kernel_sockets import MemoryKernel
from jupyterd.web.root import Root
from tests.kernels.channels.tabs import Tab, Watch

PATH = "/api/contents/a.ipynb"
CLOSED, LOST = 60.0, 3600.0


def cell(cell_id: str | None, source: str = "1", **more: Any) -> dict[str, Any]:
    named = {} if cell_id is None else {"id": cell_id}
    return {
        **named, "cell_type": "code", "metadata": {}, "source": source, "outputs": [], "execution_count": None, **more
    }  # fmt: skip


class Page(Tab):
    """A page's websocket."""

    def __init__(self, kit: Kit, session: str | None) -> None:
        super().__init__()
        self.kit, self.session, self._count = kit, session, 0
        self.cursor = kit.channels.attach(self, session)

    def run(self, cell_id: str | None, source: str = "1", **content: Any) -> bytes:
        """Ask for a cell; the header of the request."""
        self._count += 1
        header = orjson.dumps(
            {"msg_id": f"{self.session}-{self._count}", "msg_type": "execute_request", "session": self.session or "x"}
        )
        metadata = orjson.dumps({} if cell_id is None else {"cellId": cell_id})
        self.kit.channels.send(
            self.cursor, "shell", [header, b"{}", metadata, orjson.dumps({"code": source, **content})]
        )
        return header

    def leave(self, said_goodbye: bool = True) -> None:
        self.kit.channels.detach(self.cursor, self, said_goodbye)


class Kit:
    """All of it; ``kit.paths`` are the notebooks that run on the kernel."""

    def __init__(
        self,
        directory: Path,
        ledger: Any = None,
        run_ledger: Any = None,
        kernels_stay: Any = lambda: False,
        **traits: Any,
    ) -> None:
        self.site = MemorySite()
        self.clock = self.site.reactor
        self.clock.advance(1_000_000.0)
        self.root = directory / "root"
        self.root.mkdir(exist_ok=True)
        self.kernel = MemoryKernel()
        self.paths = ["a.ipynb"]
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.may_execute = True
        self.failure: Exception | None = None
        manager = AsyncLargeFileManager(root_dir=str(self.root))
        events = EventQueue(self.clock, lambda data: None)
        self.contents = Contents(self.clock, manager, ThreadPools.one(at_once), events)
        self.recorder = Recorder(
            OutputRecorder(**traits),
            self.clock,
            at_once,
            notebooks=self._notebooks,
            change=self._change,
            emit=self._emit,
            ledger=ledger,
            kernels_stay=kernels_stay,
        )
        self.contents.outputs = self.recorder
        self.channels = self.new_channels(directory / "spill")
        self.runs = Runs(
            self.clock,
            self,
            self,
            write=self.recorder.write,
            is_pending=self.recorder.is_pending,
            emit=self._emit,
            ledger=run_ledger,
            kernels_stay=kernels_stay,
        )
        self.recorder.followers.append(self.runs.moved)
        self.interrupts = 0
        self.session_is_new, self.ended = False, []
        self._mount(self.site.root)

    def _mount(self, root: Root) -> None:
        routes = RunRoutes(self.runs, self._may)
        mount_contents(root, lambda: self.contents, lambda *a, **k: b"", None, lambda: routes)
        root.mount(
            "/api/kernels/*/executions",
            lambda: ExecutionsResource(self.recorder, self._state).app.resource(),
            auth="kernels",
        )
        root.mount(
            "/api/kernels/*/execute",
            lambda: ChannelsResource(lambda _: self.channels, self._may).app.resource(),
            auth="kernels",
        )

    def new_channels(self, spill: Path) -> KernelChannels:
        channels = KernelChannels(
            "k", reactor=self.clock, settings=ZMQChannelsWebsocketConnection(), in_thread=at_once,
            spill_dir=str(spill), observer=Watch(), network=self.kernel, recording=self.recorder.of,
        )  # fmt: skip
        channels.connect(self.kernel.info)
        self.kernel.answer_kernel_info()
        return channels

    # -- what the recorder and the runs are given

    async def _notebooks(self, kernel_id: str) -> list[str]:
        return list(self.paths)

    async def _change(self, path: str, step: Any) -> None:
        if self.failure is not None:
            raise self.failure
        await self.contents.change(path, step)

    def _emit(self, schema: str, data: dict[str, Any]) -> None:
        self.events.append((schema, data))

    async def _may(self, call: Any) -> bool:
        return self.may_execute

    def _state(self, kernel_id: str) -> str:
        if kernel_id != "k":
            raise NotFound(f"Kernel does not exist: {kernel_id}")
        return "idle"

    async def read(self, path: str) -> Any:
        from jupyterd.contents import operations

        return await self.contents.ask(operations.notebook_on_disk, path)

    async def change(self, path: str, step: Any) -> None:
        await self.contents.change(path, step)

    async def session(self, path: str, kernel_name: str | None) -> tuple[str, str, bool]:
        return "s", "k", self.session_is_new

    def channels_of(self, kernel_id: str) -> KernelChannels:
        return self.channels

    async def interrupt(self, kernel_id: str) -> None:
        self.interrupts += 1

    async def end(self, session_id: str) -> None:
        self.ended.append(session_id)

    # -- files

    def put(
        self, *cells: Any, path: str = PATH, minor: int = 5, mark: int | None = None, status: int | None = None
    ) -> Any:
        metadata = {} if mark is None else {"jupyterd_outputs": mark}
        content = {"nbformat": 4, "nbformat_minor": minor, "metadata": metadata, "cells": list(cells)}
        answer = self.site.request("PUT", path, json_body={"type": "notebook", "format": "json", "content": content})
        assert answer.status in ((200, 201) if status is None else (status,)), answer
        return answer.json()

    def get(self, path: str = PATH) -> Any:
        answer = self.site.request("GET", path)
        assert answer.status == 200, answer
        return answer.json()

    def mark(self) -> Any:
        return self.get()["content"]["metadata"].get("jupyterd_outputs")

    def disk(self, name: str = "a.ipynb") -> Any:
        """Of each cell the execution count and the texts of its outputs."""
        cells = json.loads((self.root / name).read_text())["cells"]
        return [(each["execution_count"], [_text(output) for output in each["outputs"]]) for each in cells]

    def executions(self, query: str = "") -> list[dict[str, Any]]:
        return list(self.get(f"/api/kernels/k/executions{query}")["executions"])

    # -- the kernel

    def begin(self, header: bytes, count: int = 1) -> None:
        self.kernel.say("status", {"execution_state": "busy"}, header)
        self.kernel.say("execute_input", {"code": "", "execution_count": count}, header)

    def say(self, header: bytes, text: str) -> None:
        self.kernel.say("stream", {"name": "stdout", "text": text}, header)

    def finish(self, header: bytes, count: int = 1, status: str = "ok", **more: Any) -> None:
        self.kernel.reply("shell", "execute_reply", {"status": status, "execution_count": count, **more}, header)
        self.kernel.say("status", {"execution_state": "idle"}, header)

    def ran(self, header: bytes, text: str, count: int = 1) -> None:
        self.begin(header, count)
        self.say(header, text)
        self.finish(header, count)

    def asked(self) -> list[tuple[bytes, str]]:
        """Header and code of what the kernel was asked to run since the last call."""
        heard = self.kernel.heard("shell")
        return [
            (bytes(data), content["code"]) for header, data, content in heard if header["msg_type"] == "execute_request"
        ]

    def pass_time(self, seconds: float) -> None:
        for _ in range(20):
            self.clock.advance(seconds / 20)


def _text(output: dict[str, Any]) -> str:
    if output["output_type"] == "stream":
        return "".join(output["text"])
    return str(output.get("ename") or "".join(output["data"]["text/plain"]))


def done(coroutine: Any) -> Any:
    return result_of(Deferred.fromCoroutine(coroutine))


def names(kit: Kit) -> list[Any]:
    return [(data["action"], data["cells"]) for schema, data in kit.events if "outputs/v1" in schema]


def killed(kit: Kit, store: StateStore) -> KernelRecord:
    """The daemon ends in the middle of a moment; the next one has the same log."""
    ledger = ExecutionLedger(lambda: store, at_once, Clock())
    record = KernelRecord(kit.channels, kit.recorder, OutputRecorder(), at_once, kit.clock.seconds, ledger)
    kit.recorder._records["k"] = record
    kit.channels.recording = kit.channels._requests.recording = kit.channels._from_kernel.recording = record
    done(record.restore())
    return record
