"""Server loop of the keeper: who connects is answered, and all has its turn; ends when nothing is kept any more."""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from jupyterd.keeper.child_table import ChildTable
from jupyterd.keeper.connection import Connection
from jupyterd.keeper.held_sockets import HeldSockets
from jupyterd.keeper.listened_kernels import ListenedKernels
from jupyterd.keeper.operations import LATER, Operations
from jupyterd.keeper.wire import ENDED, BadFrame, Message

END_TIMEOUT = 5.0
"""Seconds that children have to end by themselves when the keeper is told to end them."""

LOOKS = 60.0
"""Seconds between looks, while no daemon is there, whether the next one could find this keeper."""


class Keeper:
    """Serves one socket until there is nothing to keep.

    :param listening: the socket, listening.
    :param path: where it lies; removed in the end.
    """

    def __init__(self, listening: socket.socket, path: str) -> None:
        self._listening, self._path = listening, path
        self._mark = os.stat(path).st_ino
        listening.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(listening, selectors.EVENT_READ, self._accept)
        self._connections: set[Connection] = set()
        self._children = ChildTable(self._selector, self.tell)
        self._kernels = ListenedKernels(self._selector)
        self._held = HeldSockets(self._selector)
        self._operations = Operations(self, self._children, self._kernels, self._held)
        self.began = time.time()
        self._ever_claimed = False
        self.ending = False
        self._looks_at: float | None = None

    # -- the loop

    def run(self) -> None:
        """Serve; comes back when all is over."""
        woken, wakes = socket.socketpair()
        for each in (woken, wakes):
            each.setblocking(False)
        self._selector.register(woken, selectors.EVENT_READ, lambda sock, mask: sock.recv(64))
        signal.set_wakeup_fd(wakes.fileno())
        signal.signal(signal.SIGTERM, lambda *_: self.end())
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGPIPE):
            signal.signal(number, signal.SIG_IGN)
        while not self._is_over():
            self._turn()
        self._leave()

    def _turn(self) -> None:
        for key, mask in self._selector.select(self._timeout()):
            if key.fd in self._selector.get_map():  # who came before it may have let go of it
                key.data(key.fileobj, mask)
        self._kernels.turn()
        self._held.tidy()
        for connection in [each for each in self._connections if each.closed]:
            self._lost(connection)
        self._look()

    def _look(self) -> None:
        """End where the directory is gone with all by which a daemon would find what is kept here."""
        if any(connection.claimed for connection in self._connections) or not self._ever_claimed:
            self._looks_at = None
        elif self._looks_at is None:
            self._looks_at = time.monotonic() + LOOKS
        elif self._looks_at <= time.monotonic():
            self._looks_at = time.monotonic() + LOOKS
            if not os.path.isdir(os.path.dirname(self._path)):
                self.end()

    def _timeout(self) -> float | None:
        if self._kernels.pending:
            return 0
        times = self._kernels.times()
        if self._looks_at is not None:
            times.append(self._looks_at)
        if self._held.deadline is not None:
            times.append(self._held.deadline)
        return max(0.0, min(times) - time.monotonic()) if times else (None if self._ever_claimed else 30.0)

    def _is_over(self) -> bool:
        if self.ending:
            return True
        if self._children.running or self._connections or self._held.deadline:
            return False
        return self._ever_claimed or time.time() - self.began > 30.0

    def end(self) -> None:
        """Serve no longer; children that run are ended."""
        self.ending = True

    def _leave(self) -> None:
        self._children.end_all(END_TIMEOUT)
        with suppress(OSError):
            if os.stat(self._path).st_ino == self._mark:
                ended = self._children.models()
                if ended and not self.ending:
                    _write_json(os.path.join(os.path.dirname(self._path), ENDED), ended)
                os.unlink(self._path)
        self._kernels.close()
        self._children.close()

    # -- connections

    def connections(self) -> Iterable[Connection]:
        """Those that are open."""
        return self._connections

    def claimed_by(self, connection: Connection) -> None:
        """That one is the daemon from now on."""
        connection.claimed = self._ever_claimed = True

    def _accept(self, listening: socket.socket, mask: int) -> None:
        try:
            sock, _ = listening.accept()
        except OSError:
            return
        connection = Connection(sock)
        self._connections.add(connection)
        self._selector.register(connection, selectors.EVENT_READ, self._served)

    def _served(self, connection: Connection, mask: int) -> None:
        if mask & selectors.EVENT_WRITE:
            connection.flush()
        if mask & selectors.EVENT_READ:
            try:
                for message, fds in connection.read():
                    self._answer(connection, message, fds)
            except (BadFrame, OSError):
                connection.close()
        if not connection.closed:
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if connection.has_more else 0)
            self._selector.modify(connection, events, self._served)

    def _lost(self, connection: Connection) -> None:
        self._connections.discard(connection)
        with suppress(KeyError, ValueError):
            self._selector.unregister(connection)
        connection._sock.close()
        self._operations.lost(connection)
        if connection.claimed:
            connection.claimed = False
            self._alone()

    def _alone(self) -> None:
        """No daemon is there any more."""
        self._held.see_out()
        self._kernels.record_all()
        self._children.read_all_here()

    def _answer(self, connection: Connection, message: Message, fds: list[int]) -> None:
        given: tuple[int, ...] = ()
        operation = self._operations.find(str(message.get("op")))
        try:
            if operation is None:
                raise ValueError(f"no such operation: {message.get('op')}")
            found = operation(connection, message, fds)
            answer, given = found if isinstance(found, tuple) else (found or {}, ())
        except Exception as error:  # noqa: BLE001 - whatever was asked, the children go on
            number = getattr(error, "errno", None)
            answer = {"error": str(error) or type(error).__name__, "kind": type(error).__name__, "errno": number}
        finally:
            for fd in fds:
                with suppress(OSError):
                    os.close(fd)
        if not connection.closed and answer is not LATER:
            connection.send({**answer, "id": message.get("id")}, given)
            if connection.has_more:
                self._selector.modify(connection, selectors.EVENT_READ | selectors.EVENT_WRITE, self._served)

    def tell(self, message: Message, needed: bool = True) -> bool:
        """Tell the daemon of an event; without need only one that reads. Whether somebody was told."""
        told = False
        for connection in self._connections:
            if connection.claimed and not connection.closed:
                if needed:
                    connection.send(message)
                    told = True
                else:
                    told = connection.send_if_read(message)
                if connection.has_more:
                    self._selector.modify(connection, selectors.EVENT_READ | selectors.EVENT_WRITE, self._served)
        return told


def _write_json(path: str, value: Any) -> None:
    fd = os.open(f"{path}.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with open(fd, "w", encoding="utf-8") as file:
        json.dump(value, file)
    os.replace(f"{path}.new", path)
