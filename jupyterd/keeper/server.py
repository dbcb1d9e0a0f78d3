"""Server loop of the keeper: children, the daemon, kernels that are listened to."""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import zmq

from jupyterd.keeper.children import Child, adopt, end_all, spawn
from jupyterd.keeper.connection import Connection
from jupyterd.keeper.held_sockets import HeldSockets
from jupyterd.keeper.listening import Listener
from jupyterd.keeper.wire import ENDED, VERSION, BadFrame, Message

END_TIMEOUT = 5.0
"""Seconds that children have to end by themselves when the keeper is told to end them."""

LATER: Message = {"later": True}
"""In place of an answer that follows by itself."""

DOZE = 0.005
"""Seconds for which a kernel that is listened to along is left alone after it was read: what it says of one cell is
read together, and not message by message. Its socket holds what comes meanwhile."""

LOOKS = 60.0
"""Seconds between looks, while no daemon is there, whether the next one could find this keeper."""

Handler = Callable[[Connection, Message, list[int]], "tuple[Message, tuple[int, ...]] | Message | None"]


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
        self._children: dict[str, Child] = {}
        self._listeners: dict[str, Listener] = {}
        self._held = HeldSockets(self._selector)
        self._pending: set[str] = set()
        self._dozing: dict[str, float] = {}
        self._context: zmq.Context[Any] | None = None
        self._began = time.time()
        self._ever_claimed = False
        self._ending = False
        self._looks_at: float | None = None
        self._successor: tuple[Connection, Any] | None = None
        self._operations: dict[str, Handler] = {
            name.removeprefix("_do_"): getattr(self, name) for name in dir(self) if name.startswith("_do_")
        }

    # -- the loop

    def run(self) -> None:
        """Serve; comes back when all is over."""
        woken, wakes = socket.socketpair()
        for each in (woken, wakes):
            each.setblocking(False)
        self._selector.register(woken, selectors.EVENT_READ, lambda sock, mask: sock.recv(64))
        signal.set_wakeup_fd(wakes.fileno())
        signal.signal(signal.SIGTERM, lambda *_: self._end())
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGPIPE):
            signal.signal(number, signal.SIG_IGN)
        while not self._is_over():
            self._turn()
        self._leave()

    def _turn(self) -> None:
        for key, mask in self._selector.select(self._timeout()):
            if key.fd in self._selector.get_map():  # who came before it may have let go of it
                key.data(key.fileobj, mask)
        pending, self._pending = self._pending, set()
        for name in pending:
            self._hear(name)
        now = time.monotonic()
        for name, listener in self._listeners.items():
            if listener.silent_until and listener.silent_until <= now:
                listener.listen_again()
                self._pending.add(name)
        for name in [name for name, until in self._dozing.items() if until <= now]:
            self._wake(name)
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
                self._end()

    def _timeout(self) -> float | None:
        if self._pending:
            return 0
        times = [listener.silent_until for listener in self._listeners.values() if listener.silent_until]
        times += self._dozing.values()
        if self._looks_at is not None:
            times.append(self._looks_at)
        if self._held.deadline is not None:
            times.append(self._held.deadline)
        return max(0.0, min(times) - time.monotonic()) if times else (None if self._ever_claimed else 30.0)

    def _is_over(self) -> bool:
        if self._ending:
            return True
        if any(child.running for child in self._children.values()) or self._connections or self._held.deadline:
            return False
        return self._ever_claimed or time.time() - self._began > 30.0

    def _end(self) -> None:
        self._ending = True

    def _leave(self) -> None:
        end_all([child for child in self._children.values() if child.running], END_TIMEOUT)
        with suppress(OSError):
            if os.stat(self._path).st_ino == self._mark:
                ended = [child.model() for child in self._children.values()]
                if ended and not self._ending:
                    _write_json(os.path.join(os.path.dirname(self._path), ENDED), ended)
                os.unlink(self._path)
        for listener in self._listeners.values():
            listener.close()
        for child in self._children.values():
            child.close()

    # -- connections

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
        if self._successor is not None and self._successor[0] is connection:
            self._successor = None
            self._tell({"event": "successor_failed"})
        if connection.claimed:
            connection.claimed = False
            self._alone()

    def _alone(self) -> None:
        """No daemon is there any more."""
        self._held.see_out()
        for name, listener in self._listeners.items():
            listener.record(replies=True)
            self._dozing.pop(name, None)
            self._watch_sockets(listener)
            self._pending.add(name)
        for child in self._children.values():
            self._read_here(child, True)

    def _answer(self, connection: Connection, message: Message, fds: list[int]) -> None:
        given: tuple[int, ...] = ()
        operation = self._operations.get(str(message.get("op")))
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

    def _tell(self, message: Message, needed: bool = True) -> bool:
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

    # -- children

    def _keep(self, child: Child) -> None:
        old = self._children.get(child.name)
        if old is not None:
            self._forget(old)
        self._children[child.name] = child
        self._selector.register(child.pidfd, selectors.EVENT_READ, lambda fd, mask: self._ended(child))
        child.read_here = False
        self._read_here(child, True)

    def _read_here(self, child: Child, wanted: bool) -> None:
        if child.fd < 0 or child.read_here == wanted:
            return
        child.read_here = wanted
        if wanted:
            if child.screen is not None:
                child.screen.refresh()
            self._selector.register(child.fd, selectors.EVENT_READ, lambda fd, mask: self._wrote(child))
        else:
            with suppress(KeyError):
                self._selector.unregister(child.fd)

    def _wrote(self, child: Child) -> None:
        if not child.read(self._said):
            self._read_here(child, False)

    def _said(self, child: Child, data: bytes) -> None:
        self._tell({"event": "stderr", "name": child.name, "data": data.decode("latin-1")}, needed=False)

    def _ended(self, child: Child) -> None:
        if not child.running:
            return
        self._selector.unregister(child.pidfd)
        child.reap()
        if child.read_here:
            self._read_here(child, False)
            child.drain(self._said)
        if child.kind == "kernel" and child.fd >= 0:
            self._read_here(child, False)
            os.close(child.fd)
            child.fd = -1
        self._tell({"event": "ended", **child.model()})

    def _forget(self, child: Child) -> None:
        self._read_here(child, False)
        if child.pidfd >= 0:
            with suppress(KeyError):
                self._selector.unregister(child.pidfd)
        child.close()
        if self._children.get(child.name) is child:
            del self._children[child.name]

    # -- one daemon takes over from another

    def _do_take_over(self, connection: Connection, message: Message, fds: list[int]) -> Message:
        """Ask the daemon that is here for its listening sockets; it answers by ``pass_on``."""
        if not any(each.claimed and each is not connection for each in self._connections):
            return {"busy": False}
        if self._successor is not None:
            raise ValueError("another process takes over already")
        self._successor = connection, message.get("id")
        self._tell({"event": "successor"})
        return LATER

    def _do_pass_on(self, connection: Connection, message: Message, fds: list[int]) -> None:
        """Give the daemon's listening sockets to who takes over."""
        self._reply_to_successor({"busy": True, "places": message.get("places")}, tuple(fds))

    def _do_refuse(self, connection: Connection, message: Message, fds: list[int]) -> None:
        """The daemon does not hand over."""
        self._reply_to_successor({"error": str(message.get("why"))})
        self._successor = None

    def _reply_to_successor(self, answer: Message, fds: tuple[int, ...] = ()) -> None:
        if self._successor is None:
            raise ValueError("nobody takes over")
        successor, number = self._successor
        successor.send({**answer, "id": number}, fds)

    def _do_go(self, connection: Connection, message: Message, fds: list[int]) -> None:
        """Who takes over is ready: the daemon is to go."""
        if self._successor is None or self._successor[0] is not connection:
            raise ValueError("it does not take over")
        self._successor = None
        self._tell({"event": "go"})

    # -- clients' connections

    def _do_hold(self, connection: Connection, message: Message, fds: list[int]) -> None:
        """Keep a client's connection open if the daemon is killed."""
        self._held.hold(int(message["key"]), *map(os.dup, fds[:2]))

    def _do_drop(self, connection: Connection, message: Message, fds: list[int]) -> None:
        """The daemon has closed it."""
        self._held.drop(int(message["key"]))

    def _do_taken(self, connection: Connection, message: Message, fds: list[int]) -> Message:
        """How many bytes the system had taken for each connection of the daemon that went away last, by their keys."""
        return {"taken": {str(key): count for key, count in self._held.taken.items()}}

    # -- kernels that are listened to

    def _hear(self, name: str) -> None:
        listener = self._listeners.get(name)
        if listener is None or name in self._dozing:
            return
        before = listener.heard
        if listener.read():
            self._pending.add(name)
        elif listener.heard != before and not listener.recording:
            self._unwatch_sockets(listener)
            self._dozing[name] = time.monotonic() + DOZE

    def _wake(self, name: str) -> None:
        """Read what came while it was left alone, and have its sockets watched again, or doze on."""
        if self._dozing.pop(name, None) is None or (listener := self._listeners.get(name)) is None:
            return
        self._hear(name)
        if name not in self._dozing:
            self._watch_sockets(listener)

    def _watch_sockets(self, listener: Listener) -> None:
        for sock in listener.sockets.values():
            fd = sock.getsockopt(zmq.FD)
            if fd not in self._selector.get_map():
                self._selector.register(fd, selectors.EVENT_READ, lambda fd, mask: self._hear(listener.name))

    def _unwatch_sockets(self, listener: Listener) -> None:
        for sock in listener.sockets.values():
            with suppress(KeyError):
                self._selector.unregister(sock.getsockopt(zmq.FD))

    def _listener(self, message: Message) -> Listener:
        listener = self._listeners.get(message["name"])
        if listener is None:
            raise KeyError(f"{message['name']} is not listened to")
        self._wake(listener.name)
        return listener

    # -- operations

    def _do_hello(self, connection: Connection, message: Message, fds: list[int]) -> Message:
        """Who is there. With ``claim`` the asker is the daemon from now on, unless there is one."""
        busy = any(each.claimed and not each.closed for each in self._connections if each is not connection)
        if message.get("claim") and not busy:
            connection.claimed = self._ever_claimed = True
        return {
            "version": VERSION,
            "pid": os.getpid(),
            "began": self._began,
            "busy": busy,
            "children": [child.model() for child in self._children.values()],
            "listening": [each.model() for each in self._listeners.values()],
        }

    def _do_spawn(self, connection: Connection, message: Message, fds: list[int]) -> tuple[Message, tuple[int, ...]]:
        """Run a process; its pipe or pseudo-terminal comes with the answer."""
        child = spawn(message)
        self._keep(child)
        if child.kind == "terminal":
            self._read_here(child, False)
        return child.model(), (child.fd,)

    def _do_adopt(self, connection: Connection, message: Message, fds: list[int]) -> Message:
        """Take over a process whose keeper is gone, and its pipe or pseudo-terminal, if that came along."""
        child = adopt(message, os.dup(fds[0]) if fds else -1)
        self._keep(child)
        if child.kind == "terminal":
            self._read_here(child, False)
        return child.model()

    def _do_descriptor(
        self, connection: Connection, message: Message, fds: list[int]
    ) -> tuple[Message, tuple[int, ...]]:
        """The pipe or pseudo-terminal of a child. A pseudo-terminal is read by who asked, from now on."""
        child = self._children[message["name"]]
        if child.kind == "terminal":
            self._read_here(child, False)
        return child.model(), (child.fd,) if child.fd >= 0 else ()

    def _do_signal(self, connection: Connection, message: Message, fds: list[int]) -> None:
        """Send a signal to a child, or its group."""
        self._children[message["name"]].signal(int(message["signal"]), bool(message.get("group")))

    def _do_forget(self, connection: Connection, message: Message, fds: list[int]) -> None:
        """A child that has ended, and how, is known now."""
        child = self._children.get(message["name"])
        if child is not None and not child.running:
            self._forget(child)

    def _do_listen(self, connection: Connection, message: Message, fds: list[int]) -> None:
        """Listen along to a kernel, from now on; in place of how it was listened to before."""
        self._do_deafen(connection, message, fds)
        if self._context is None:
            self._context = zmq.Context(1)
        listener = Listener(self._context, message)
        self._listeners[listener.name] = listener
        self._watch_sockets(listener)
        self._pending.add(listener.name)

    def _do_deafen(self, connection: Connection, message: Message, fds: list[int]) -> None:
        """Listen no more to a kernel."""
        listener = self._listeners.pop(message["name"], None)
        if listener is not None:
            self._dozing.pop(listener.name, None)
            self._unwatch_sockets(listener)
            listener.close()

    def _do_stored(self, connection: Connection, message: Message, fds: list[int]) -> None:
        """The daemon has stored the message of a signature, and all before it."""
        listener = self._listeners.get(message["name"])
        if listener is not None:
            self._wake(listener.name)
            listener.stored(str(message["signature"]).encode())

    def _do_record(self, connection: Connection, message: Message, fds: list[int]) -> Message:
        """Write down what a kernel says, beside the daemon; how many messages came so far, and whether all did."""
        listener = self._listener(message)
        listened = not listener.silent_until
        listener.record(replies=False)
        self._pending.add(listener.name)
        return {"size": listener.size, "heard": listener.heard, "lost": listener.lost, "listened": listened}

    def _do_hang_up(self, connection: Connection, message: Message, fds: list[int]) -> Message:
        """Take no replies any more; how much is in the file."""
        listener = self._listener(message)
        for channel, sock in listener.sockets.items():
            if channel:
                with suppress(KeyError):
                    self._selector.unregister(sock.getsockopt(zmq.FD))
        while listener.read():
            pass
        listener.hang_up()
        return {"size": listener.size, "heard": listener.heard, "lost": listener.lost}

    def _do_release(self, connection: Connection, message: Message, fds: list[int]) -> Message:
        """The daemon hears the kernel itself: write no more; how much is in the file."""
        listener = self._listener(message)
        while listener.read():
            pass
        listener.release()
        return {"size": listener.size, "heard": listener.heard, "lost": listener.lost}

    def _do_forget_file(self, connection: Connection, message: Message, fds: list[int]) -> None:
        """The daemon has stored what was in the file."""
        listener = self._listener(message)
        if not listener.recording:
            listener.forget_file()

    def _do_end(self, connection: Connection, message: Message, fds: list[int]) -> Message:
        """End; with ``children`` all children first, else only if there are none."""
        if message.get("children") or not any(child.running for child in self._children.values()):
            self._end()
        return {"ending": self._ending}


def _write_json(path: str, value: Any) -> None:
    fd = os.open(f"{path}.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with open(fd, "w", encoding="utf-8") as file:
        json.dump(value, file)
    os.replace(f"{path}.new", path)
