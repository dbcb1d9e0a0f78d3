"""A server that is killed and started again, and clients that come back each time."""

from __future__ import annotations

import json
import random
import socket
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import websocket

from tests.real.daemon import TOKEN, Daemon, await_answer, common, end_kept, spawn, until
from tests.real.tab import Message, Tab, parent_id

PATIENCE = 90.0
"""Seconds in which a client comes back, on a machine that has much else to do."""


def lasting_port() -> int:
    """A free port that the system gives to nobody by itself.

    Of others, a client that knocks while no server is there may get the very one that it knocks at.
    """
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as file:
        lowest = int(file.read().split()[0])
    for port in random.sample(range(min(lowest, 32768) - 10000, min(lowest, 32768)), 100):
        with suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("a hundred ports are all in use")


class Reborn:
    """One server over all its lives, on one port."""

    def __init__(self, home: Path, *options: str, **env: str) -> None:
        self.home, self.options = home, options
        self.port = lasting_port()
        self.tls = any(option.startswith("--certfile=") for option in options)
        self.daemon = self.start(**env)

    def start(self, *more: str, **env: str) -> Daemon:
        options = [*common(self.home, self.port), "--ServerApp.port_retries=0", *self.options, *more]
        self.daemon = spawn(self.home, options, **env)
        self.daemon.port, self.daemon.tls = self.port, self.tls
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
        try:
            server.daemon.stop(patience=60.0)
        finally:
            end_kept(home)


class Follower:
    """A client of a kernel, as a page is one: what it has received over all its connections.

    :param by: what is another of the daemon where it comes by another way than its port: ``port``, ``sock``, ``tls``.
    :ivar reconnects: how often it has come back.
    :ivar wrong: why it does not go on; empty while it does.
    """

    def __init__(self, server: Reborn, kernel_id: str, session: str, **by: Any) -> None:
        self.server, self.kernel_id, self.session, self._by = server, kernel_id, session, by
        self.reconnects = -1
        self.wrong = ""
        self._said: dict[str | None, list[Message]] = defaultdict(list)
        self._replied: set[str | None] = set()
        self._idle: set[str | None] = set()
        self._over = False
        self.tab = self._connect()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def _connect(self) -> Tab:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                tab = Tab(replace(self.server.daemon, **self._by), self.kernel_id, session=self.session)
            except (OSError, websocket.WebSocketException):
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
            else:
                self.reconnects += 1
                return tab

    def _follow(self) -> None:
        try:
            while not self._over:
                self._receive()
        except Exception as error:  # noqa: BLE001 - it is told to who waits for this client
            self.wrong = f"{self.session} goes on no more: {error!r}"

    def _receive(self) -> None:
        try:
            message = self.tab.receive(1.0)
        except websocket.WebSocketTimeoutException:
            return
        except (OSError, websocket.WebSocketException, AssertionError):
            if not self._over:
                self.tab = self._connect()
            return
        header, content, parent = message["header"], message["content"], parent_id(message)
        kept = {"header": {name: header[name] for name in ("msg_id", "msg_type")}, "content": content}
        self._said[parent].append(kept)
        if header["msg_type"].endswith("_reply"):
            self._replied.add(parent)
        if content.get("execution_state") == "idle":
            self._idle.add(parent)

    def close(self) -> None:
        self._over = True
        self._thread.join(10)
        with suppress(Exception):
            self.tab.close()

    def of(self, msg_id: str) -> list[Message]:
        return list(self._said.get(msg_id, ()))

    def is_idle(self, msg_id: str) -> bool:
        """The kernel is done with a request, whoever made it."""
        assert not self.wrong, self.wrong
        return msg_id in self._idle

    def is_done(self, msg_id: str) -> bool:
        """The kernel is done with a request of this client, which has the reply."""
        return self.is_idle(msg_id) and msg_id in self._replied

    def is_back(self, times: int) -> bool:
        assert not self.wrong, self.wrong
        return self.reconnects == times

    def await_done(self, msg_id: str, patience: float = 60.0) -> list[Message]:
        """All that was said to a request of this client, when that is all."""
        until(lambda: self.is_done(msg_id), patience, f"{self.session}: a request was not done in {patience:g} s")
        return self.of(msg_id)

    def ready(self) -> Follower:
        """Wait until the kernel has answered and iopub is heard."""
        deadline = time.monotonic() + 60.0
        while True:
            asked, again = self.tab.send("kernel_info_request", {}), time.monotonic() + 3.0
            while time.monotonic() < again:
                if self.is_done(asked):
                    return self
                time.sleep(0.02)
            assert time.monotonic() < deadline, f"{self.session}: the kernel was not ready in 60 s"


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
            assert time.monotonic() < deadline, f"the terminal shows, to its end: {self.text[-300:]!r}"
            self._socket.settimeout(max(0.1, deadline - time.monotonic()))
            kind, value = json.loads(self._socket.recv())
            if kind == "stdout":
                self.text += value
        return self.text

    def close(self) -> None:
        with suppress(Exception):
            self._socket.close()
