"""Two pipes to the daemon: numbered updates come on one, what the host has to tell goes on the other."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

FROM_DAEMON = 3
TO_DAEMON = 4
READ = 256 * 1024


class Link:
    """Both of them.

    :param handle: takes each update, in order.
    :param gone: called when the daemon has closed its end.
    """

    def __init__(self, read: int = FROM_DAEMON, write: int = TO_DAEMON) -> None:
        self._read = read
        self._write = write
        for descriptor in (read, write):
            os.set_inheritable(descriptor, False)
        self._buffer = bytearray()
        self._lock = threading.Lock()
        self._number = 0
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []
        self.handle: Callable[[dict[str, Any]], None] = lambda message: None
        self.gone: Callable[[], None] = lambda: None

    def setup(self) -> dict[str, Any]:
        """The first message; blocks until it is there.

        :raises EOFError: the daemon has gone away.
        """
        while b"\n" not in self._buffer:
            data = os.read(self._read, READ)
            if not data:
                raise EOFError
            self._buffer += data
        setup = self._next() or {}
        self._number = int(setup.get("update", 0))
        return setup

    def send(self, message: Mapping[str, Any]) -> None:
        """Tell the daemon something; from any thread. It blocks while the daemon does not read."""
        data = memoryview(json.dumps(message, default=str).encode() + b"\n")
        with self._lock:
            while data:
                data = data[os.write(self._write, data) :]

    # -- updates

    def poll(self) -> None:
        """Take what has come, before the loop turns."""
        self._fill()
        self._take_all()

    def _fill(self) -> bool:
        """Read what has come, and take nothing of it; whether the daemon may say more."""
        os.set_blocking(self._read, False)
        with suppress(BlockingIOError):
            while data := os.read(self._read, READ):
                self._buffer += data
            return False
        return True

    def is_end_asked(self) -> bool:
        """Whether the daemon wants the host to end, or is gone; what it has said is still to be taken."""
        if not self._fill():
            return True
        last = self._buffer.rstrip(b"\n").rpartition(b"\n")[2]
        return self._buffer.endswith(b"\n") and json.loads(last or b"{}").get("do") == "stop"

    def listen(self, loop: asyncio.AbstractEventLoop) -> None:
        """Take updates as they come."""
        self.poll()
        loop.add_reader(self._read, self._readable, loop)

    def _readable(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            data = os.read(self._read, READ)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            loop.remove_reader(self._read)
            self.gone()
            return
        self._buffer += data
        self._take_all()

    def _take_all(self) -> None:
        while (message := self._next()) is not None:
            self.handle(message)
            self._number = max(self._number, int(message.get("n", 0)))
        still = []
        for number, waiting in self._waiting:
            if waiting.done():
                continue
            if number <= self._number:
                waiting.set_result(None)
            else:
                still.append((number, waiting))
        self._waiting = still

    def _next(self) -> dict[str, Any] | None:
        end = self._buffer.find(b"\n")
        if end < 0:
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        message: dict[str, Any] = json.loads(line)
        return message

    def applied(self, number: int) -> asyncio.Future[None] | None:
        """What to wait for until the update of that number is taken; None where it is."""
        if number <= self._number:
            return None
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((number, waiting))
        return waiting
