"""Tabs of a kernel in memory, and an observer that keeps what it is told."""

from __future__ import annotations

import os

import orjson
from twisted.internet.task import Clock

from jupyterd.kernels.channels.kernel_channels import KernelChannels
from jupyterd.kernels.channels.settings import ZMQChannelsWebsocketConnection
from jupyterd.testing.deferreds import at_once
from jupyterd.testing.kernel_sockets import MemoryKernel


class Watch:
    """What a kernel's record is told."""

    def __init__(self) -> None:
        self.active = 0
        self.states: list[tuple[str, str]] = []

    def activity(self) -> None:
        self.active += 1

    def status(self, state, parent_type) -> None:
        self.states.append((state, parent_type))


class Parts:
    name = "parts"

    def encode(self, channel, messages):
        return [(channel, [bytes(part) for part in parts]) for parts in messages]


class Tab:
    """A websocket's place: collects channel and parts of what it is given."""

    codec = Parts()

    def __init__(self) -> None:
        self.got = []
        self.blocked = self.reading_paused = self.finished = False

    connection = None

    def begin(self, frames):
        return None

    def write(self, frames):
        self.got += frames
        return len(self.got)

    def unacknowledged(self):
        return 0

    unanswered = unsent = unacknowledged

    def pause_client(self) -> None:
        self.reading_paused = True

    def resume_client(self) -> None:
        self.reading_paused = False

    def finish(self) -> None:
        self.finished = True

    def types(self):
        got, self.got = self.got, []
        return [(channel.decode(), orjson.loads(parts[0])["msg_type"]) for channel, parts in got]


class Kit:
    def __init__(self, directory, ready=True, policy=None, kernel=None, **traits) -> None:
        self.clock = Clock()
        self.kernel = kernel or MemoryKernel()
        self.watch = Watch()
        self.channels = KernelChannels(
            "k", reactor=self.clock, settings=ZMQChannelsWebsocketConnection(**traits), in_thread=at_once,
            spill_dir=os.path.join(directory, "spill"), observer=self.watch, policy=policy, network=self.kernel,
        )  # fmt: skip
        self.channels.connect(self.kernel.info)
        if ready:
            self.kernel.answer_kernel_info()
            self.watch.active = 0
            self.watch.states.clear()

    def tab(self, session=None):
        tab = Tab()
        is_new = session is None or self.channels._session_cursors.of(session) is None
        tab.cursor = self.channels.attach(tab, session)
        tab.greeting = [tab.got.pop()] if is_new and tab.got else []
        return tab

    def ask(self, tab, msg_type, channel="shell", msg_id="m1", session="", content=b"{}", buffers=()):
        header = orjson.dumps({"msg_id": msg_id, "msg_type": msg_type, "session": session})
        self.channels.send(tab.cursor, channel, [header, b"{}", b"{}", content, *buffers])
        return header
