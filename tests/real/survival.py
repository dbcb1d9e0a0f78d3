"""A server that is killed and started again, and clients that come back each time."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import websocket

from tests.real.daemon import TOKEN, Daemon, await_answer, common, end_kept, free_port, spawn
from tests.real.tab import Message, Tab, parent_id


class Reborn:
    """One server over all its lives, on one port."""

    def __init__(self, home: Path, *options: str) -> None:
        self.home, self.options = home, options
        self.port = free_port()
        self.daemon = self.start()

    def start(self, *more: str, **env: str) -> Daemon:
        options = [*common(self.home, self.port), "--ServerApp.port_retries=0", *self.options, *more]
        self.daemon = spawn(self.home, options, **env)
        self.daemon.port = self.port
        await_answer(self.daemon, 60.0)
        return self.daemon

    def kill(self) -> None:
        self.daemon.process.kill()
        self.daemon.process.wait()


@contextmanager
def reborn(home: Path, *options: str) -> Iterator[Reborn]:
    server = Reborn(home, *options)
    try:
        yield server
    finally:
        server.daemon.stop(patience=60.0)
        end_kept(home)


class Follower:
    """A client of a kernel, as a page is one: what it has received over all its connections."""

    def __init__(self, server: Reborn, kernel_id: str, session: str) -> None:
        self.server, self.kernel_id, self.session = server, kernel_id, session
        self.messages: list[Message] = []
        self.reconnects = -1
        self._over = False
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self.tab = self._connect()
        self._thread.start()

    def _connect(self) -> Tab:
        deadline = time.monotonic() + 90
        while True:
            try:
                tab = Tab(self.server.daemon, self.kernel_id, session=self.session)
            except (OSError, websocket.WebSocketException):
                assert time.monotonic() < deadline
                time.sleep(0.05)
            else:
                self.reconnects += 1
                return tab

    def _follow(self) -> None:
        while not self._over:
            try:
                self.messages.append(self.tab.receive(1.0))
            except websocket.WebSocketTimeoutException:
                continue
            except (OSError, websocket.WebSocketException, AssertionError):
                if not self._over:
                    self.tab = self._connect()

    def close(self) -> None:
        self._over = True
        self._thread.join(10)
        with suppress(Exception):
            self.tab.close()

    def of(self, msg_id: str) -> list[Message]:
        return [message for message in list(self.messages) if parent_id(message) == msg_id]

    def is_done(self, msg_id: str) -> bool:
        said = self.of(msg_id)
        return any(m["header"]["msg_type"] == "execute_reply" for m in said) and any(
            m["content"].get("execution_state") == "idle" for m in said
        )


class Shell:
    """A client of a terminal, which starts anew with what it is painted."""

    def __init__(self, server: Reborn, name: str) -> None:
        self._socket = websocket.create_connection(
            f"ws://127.0.0.1:{server.port}/terminals/websocket/{name}",
            header=[f"Authorization: token {TOKEN}"],
            suppress_origin=True,
            timeout=10,
        )
        self.text = ""

    def type(self, text: str) -> None:
        self._socket.send(json.dumps(["stdin", text]))

    def until(self, condition: Callable[[str], Any], patience: float = 20.0) -> str:
        deadline = time.monotonic() + patience
        while not condition(self.text):
            assert time.monotonic() < deadline, self.text[-300:]
            self._socket.settimeout(max(0.1, deadline - time.monotonic()))
            kind, value = json.loads(self._socket.recv())
            if kind == "stdout":
                self.text += value
        return self.text

    def close(self) -> None:
        with suppress(Exception):
            self._socket.close()
