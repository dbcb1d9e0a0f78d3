"""In order and once: whatever is written, taken, lost and killed in whatever order, a client has all in the end."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred

from jupyterd.errors import Failed
from jupyterd.keeper import record
from jupyterd.kernels.log.cursor import Cursor, Held
from jupyterd.kernels.log.settling import PARCELS
from jupyterd.kernels.messages.websocket_codec import CODEC_JSON, Bytes, frame_size
from jupyterd.kernels.recovery.standin import FILE, Standin
from jupyterd.testing.deferreds import at_once, result_of
from tests.kernels.channels.test_executions import Kit

BASE = 5000
"""What the system had taken for a connection before its websocket began."""

BUFFER = 20_000
"""Bytes that a transport holds before it says so."""

PING = b"\x89\x08" + b"01234567"


class Killed(BaseException):
    """The daemon is killed where this is raised."""


class Wire:
    """A websocket on a connection of which the system takes what the test says."""

    codec = CODEC_JSON

    def __init__(self, key: int, room: int) -> None:
        self.connection = Held(key, BASE, None)
        self.stream = bytearray()
        self.room, self.taken, self.acknowledged, self._last = room, 0, 0, 0
        self.dies = False

    @property
    def blocked(self) -> bool:
        return self.waiting() > BUFFER

    def waiting(self) -> int:
        """Bytes that the system has not taken."""
        return len(self.stream) - self.taken

    def begin(self, frames: list[Bytes]) -> int:
        return len(self.stream)

    def write(self, frames: list[Bytes]) -> int:
        self.stream += b"".join(frames)
        self._last = len(self.stream)
        self.take(0)
        return self._last

    def ping(self) -> None:
        self.stream += PING
        self.take(0)

    def take(self, size: int) -> None:
        """The system has room for so many bytes more."""
        self.room += size
        taken = min(self.room, self.waiting())
        self.taken, self.room = self.taken + taken, self.room - taken
        if self.dies:
            raise Killed

    def readable(self) -> int:
        """Bytes of the stream that its client can read, of those that the system has taken."""
        return self.taken

    def unsent(self) -> int:
        return max(0, self._last - self.readable())

    def unacknowledged(self) -> int:
        return max(0, self._last - self.acknowledged)

    unanswered = unacknowledged

    def pause_client(self) -> None: ...
    def resume_client(self) -> None: ...
    def finish(self) -> None: ...


class Sealed(Wire):
    """The same over TLS: the system is given other bytes, and the client reads records whole or not at all."""

    def __init__(self, key: int, room: int) -> None:
        super().__init__(key, room)
        self.connection = Held(key, BASE, self)
        self.noted: Any = None
        self._records: list[tuple[int, int]] = [(0, 0)]

    def _seal(self) -> None:
        wire, clear = self._records[-1]
        while clear < len(self.stream):
            size = min(700, len(self.stream) - clear)
            wire, clear = wire + size + 22, clear + size
            self._records.append((wire, clear))
            if self.noted is not None:
                self.noted(wire, clear)

    def waiting(self) -> int:
        return self._records[-1][0] - self.taken

    def take(self, size: int) -> None:
        self._seal()
        super().take(size)

    def readable(self) -> int:
        return max(clear for wire, clear in self._records if wire <= self.taken)


class Keeper:
    """Hears what the kernel says, and knows what the system had taken of the last daemon's connections."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._ring: list[tuple[str, bytes]] = []
        self._records = False
        self.taken: dict[str, int] = {}

    def hear(self, message: list[Bytes]) -> None:
        packed = record.pack(1.0, 0, [record.DELIMITER, *map(bytes, message)])
        assert packed is not None
        self._ring.append((bytes(message[0]).decode(), packed))
        if self._records:
            self.alone()

    def alone(self) -> None:
        self._records = True
        with self._path.open("ab") as file:
            file.writelines(packed for _, packed in self._ring)
        self._ring.clear()

    def say(self, op: str, **fields: Any) -> None:
        signatures = [signature for signature, _ in self._ring]
        if op == "stored" and fields["signature"] in signatures:
            del self._ring[: signatures.index(fields["signature"]) + 1]

    async def ask(self, op: str, **fields: Any) -> Any:
        if op == "release":
            self._records = False
        elif op == "forget_file":
            self._path.unlink(missing_ok=True)
        elif op == "taken":
            return {"taken": self.taken}
        elif op != "hang_up":
            raise Failed("it can not")
        return {"lost": 0}


class Server:
    """Daemons of one server, one after the other, at one kernel; and one client, which comes back to each."""

    def __init__(self, home: Path, kind: type[Wire]) -> None:
        self._home, self._kind = home, kind
        self._path = home / "spill" / FILE
        self._path.parent.mkdir()
        self.keeper = Keeper(self._path)
        self.wire: Wire | None = None
        self.cursor: Cursor | None = None
        self._keys = self._texts = self._requests = 0
        self.said: list[str] = []
        self.got: list[dict[str, Any]] = []
        self._start()
        self.kit.channels.connect(self.kernel.info)
        self._answer()

    def _start(self) -> None:
        standin = Standin(self.keeper, "k", str(self._home / "spill"), at_once, 0)  # type: ignore[arg-type]
        self.kit = Kit(str(self._home), standin=standin, connects=False)
        self.kernel = self.kit.kernel
        self.messages = self.kit.channels.messages

    def _answer(self) -> None:
        for header, data, _ in self.kernel.heard("shell") + self.kernel.heard("control"):
            if header["msg_type"] == "kernel_info_request":
                self._tell([self.kernel.message("status", {"execution_state": "busy"}, data)])
                self.kernel.reply("shell", "kernel_info_reply", {"protocol_version": "5.4"}, data)
                self._tell([self.kernel.message("status", {"execution_state": "idle"}, data)])

    def _tell(self, batch: list[list[Bytes]]) -> None:
        for message in batch:
            self.keeper.hear(message)
        self.kernel.sockets["iopub"].received([list(message) for message in batch])

    # -- what may happen

    def say(self, count: int) -> None:
        """The kernel says so much in one turn."""
        texts = [str(self._texts + number) for number in range(count)]
        self._texts += count
        self.said += texts
        padding = "x" * (int(texts[0]) * 37 % 200)
        self._tell([self.kernel.message("stream", {"name": "stdout", "text": t, "x": padding}) for t in texts])

    def note(self, _: int) -> None:
        """The server says something itself."""
        self.kit.channels.from_kernel.tell("note")

    def reply(self, _: int) -> None:
        """The client asks, and the kernel replies."""
        if self.cursor is not None and self.wire is not None:
            self._requests += 1
            header = {"msg_id": f"r{self._requests}", "msg_type": "execute_request", "session": "s", "version": "5.4"}
            parts = [orjson.dumps(header), b"{}", b"{}", b'{"code": "x"}']
            self.kit.channels.send(self.cursor, "shell", parts)  # type: ignore[arg-type]
            content = {"status": "ok", "x": "y" * (self._requests * 71 % 900)}
            self.kernel.reply("shell", "execute_reply", content, parts[0])

    def take(self, size: int) -> None:
        """The system takes more."""
        if self.wire is not None and self.cursor is not None:
            was_blocked = self.wire.blocked
            self.wire.take(size)
            self.messages.taken(self.cursor)
            if was_blocked and not self.wire.blocked:
                self.messages.pull(self.cursor)

    def ping(self, _: int) -> None:
        if self.wire is not None:
            self.wire.ping()

    def wait(self, size: int) -> None:
        """Some time goes by."""
        self.kit.site.reactor.pump([0.05] * (size % 8))

    def come(self, room: int) -> None:
        """The client comes back, unless it is here."""
        if self.wire is None:
            self._keys += 1
            self.wire = self._kind(self._keys, room)
            self.cursor = self.kit.channels.attach(self.wire, "session")  # type: ignore[arg-type]

    def lose(self, share: int) -> None:
        """Its connection is lost, and with it some of what the system had taken."""
        if self.wire is not None and self.cursor is not None:
            wire = self.wire
            self.keeper.taken = {str(self._keys): BASE + wire.taken}  # until it hears that the connection is closed
            wire.taken = max(wire.acknowledged, wire.taken - share)
            wire.acknowledged = wire.readable()
            self._read(wire)
            self.kit.channels.detach(self.cursor, wire, said_goodbye=False)  # type: ignore[arg-type]
            self.wire = self.cursor = None

    def kill(self, how: int) -> None:
        """The daemon is killed: between two steps, or as soon as the system has taken something of it.

        Then the next may be killed before it has read all that the keeper wrote down.
        """
        if self.wire is not None and how % 3:
            self.wire.dies = True
            with suppress(Killed):
                if how % 3 == 1:
                    self.say(1 + how % 9)
                self.take(how * 7 % 4000)
        if self.wire is not None:
            self._read(self.wire)
            self.keeper.taken = {str(self._keys): BASE + self.wire.taken}
        self.wire = self.cursor = None
        former = self.kernel
        self.keeper.alone()
        self._start()
        self.kernel.key, self.kernel._count = former.key, former._count
        result_of(Deferred.fromCoroutine(self.kit.channels.resume(self.kernel.info, lives=True, listened=True)))
        self.kit.channels.connect(self.kernel.info)
        if how % 5:
            self._answer()
            self.kit.site.reactor.pump([0.1] * 60)

    def _read(self, wire: Wire) -> None:
        at, end = 0, wire.readable()
        while (size := frame_size(wire.stream[at:])) and at + size <= end:
            frame = wire.stream[at : at + size]
            if not frame.startswith(PING[:1]):
                self.got.append(orjson.loads(frame[2 if frame[1] < 126 else 4 :]))
            at += size

    def end(self) -> None:
        """The client comes back once more, and reads all."""
        self._answer()
        self.kit.site.reactor.pump([0.1] * 60)
        if self.wire is not None:
            self.lose(0)
        self.come(10**9)
        self.kit.site.reactor.pump([0.1] * 60)
        assert self.wire is not None
        self._read(self.wire)

    def check(self) -> None:
        ids = Counter(message["header"]["msg_id"] for message in self.got)
        assert [msg_id for msg_id, times in ids.items() if times > 1] == [], "it comes once"
        replies = Counter(m["parent_header"]["msg_id"] for m in self.got if m["msg_type"] == "execute_reply")
        assert set(replies.values()) <= {1}, "the kernel's reply, or that it is lost"
        assert len(replies) == self._requests
        contents = [message["content"] for message in self.got if message["msg_type"] == "stream"]
        assert [content["text"] for content in contents if "x" in content] == self.said, "all of it, in order"


STEPS = st.tuples(
    st.sampled_from(
        ["say", "say", "say", "note", "reply", "take", "take", "ping", "wait", "come", "come", "lose", "kill"]
    ),
    st.integers(0, 4000),
)


def walk(kind: type[Wire], steps: list[tuple[str, int]]) -> None:
    with TemporaryDirectory() as home:
        server = Server(Path(home), kind)
        server.come(1000)
        for name, size in steps:
            getattr(server, name)(1 + size % 9 if name == "say" else size)
        server.end()
        server.check()


@given(steps=st.lists(STEPS, max_size=40))
def test_all_comes_once_and_in_order(steps: list[tuple[str, int]]) -> None:
    walk(Wire, steps)


@given(steps=st.lists(STEPS, max_size=40))
def test_over_tls_too(steps: list[tuple[str, int]]) -> None:
    walk(Sealed, steps)


@pytest.mark.parametrize("kind", [Wire, Sealed], ids=["plain", "TLS"])
@pytest.mark.parametrize("how", [0, 1, 2, 302, 403, 503])
@pytest.mark.parametrize("size", [0, 500, 1000, 3000])
def test_a_client_that_has_very_much_on_its_way_in_small_pieces(kind: type[Wire], how: int, size: int) -> None:
    with TemporaryDirectory() as home:
        server = Server(Path(home), kind)
        server.come(150)
        server.wait(7)
        for _ in range(3 * PARCELS):
            server.say(1)
        server.take(size)
        server.kill(how)
        server.end()
        server.check()


@pytest.mark.parametrize("kind", [Wire, Sealed], ids=["plain", "TLS"])
@pytest.mark.parametrize("size", [300, 900, 1500])
def test_a_part_of_a_reply_is_no_part_of_what_the_kernel_says_next(kind: type[Wire], size: int) -> None:
    with TemporaryDirectory() as home:
        server = Server(Path(home), kind)
        server.come(10**6)
        server.say(2)
        assert server.wire is not None
        server.wire.room = size
        server._requests = 11  # a long one
        server.reply(0)
        server._requests = 1
        server.say(3)
        server.kill(0)
        server.end()
        server.check()
