"""Operations of the keeper: what a daemon, or a command, can ask it for, a method each.

What they are given and answer travels in frames of :mod:`jupyterd.keeper.wire`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from jupyterd.keeper.child_table import ChildTable
from jupyterd.keeper.children import adopt, spawn
from jupyterd.keeper.connection import Connection
from jupyterd.keeper.held_sockets import HeldSockets
from jupyterd.keeper.listened_kernels import ListenedKernels
from jupyterd.keeper.wire import VERSION, Message

LATER: Message = {"later": True}
"""In place of an answer that follows by itself."""

Answer = tuple[Message, tuple[int, ...]]
"""A message and descriptors that go with it."""

Operation = Callable[[Connection, Message, list[int]], "Answer | Message | None"]
"""Called with who asks, the request, and descriptors that came with it: they are closed after it."""


class Server(Protocol):
    """The loop, as operations see it.

    :ivar began: seconds since the epoch at which it began.
    :ivar ending: it was told to end.
    """

    began: float
    ending: bool

    def connections(self) -> Iterable[Connection]:
        """Those that are open."""

    def claimed_by(self, connection: Connection) -> None:
        """That one is the daemon from now on."""

    def tell(self, message: Message) -> object:
        """Tell the daemon of an event."""

    def end(self) -> None:
        """Serve no longer."""


class Operations:
    """All of them.

    :param server: who is connected.
    :param children: kernels and shells.
    :param kernels: those that are listened to.
    :param held: clients' connections.
    """

    def __init__(self, server: Server, children: ChildTable, kernels: ListenedKernels, held: HeldSockets) -> None:
        self._server = server
        self._children, self._kernels, self._held = children, kernels, held
        self._successor: tuple[Connection, Any] | None = None
        self._by_name: dict[str, Operation] = {
            name.removeprefix("do_"): getattr(self, name) for name in dir(self) if name.startswith("do_")
        }

    def find(self, name: str) -> Operation | None:
        """The operation of that name, None where there is none."""
        return self._by_name.get(name)

    def lost(self, connection: Connection) -> None:
        """A connection is gone."""
        if self._successor is not None and self._successor[0] is connection:
            self._successor = None
            self._server.tell({"event": "successor_failed"})

    # -- the keeper itself

    def do_hello(self, connection: Connection, message: Message, fds: list[int]) -> Message:
        """Who is there. With ``claim`` the asker is the daemon from now on, unless there is one."""
        others = (each for each in self._server.connections() if each is not connection)
        busy = any(each.claimed and not each.closed for each in others)
        if message.get("claim") and not busy:
            self._server.claimed_by(connection)
        return {
            "version": VERSION,
            "pid": os.getpid(),
            "began": self._server.began,
            "busy": busy,
            "children": self._children.models(),
            "listening": self._kernels.models(),
        }

    def do_end(self, connection: Connection, message: Message, fds: list[int]) -> Message:
        """End; with ``children`` all children first, else only if there are none."""
        if message.get("children") or not self._children.running:
            self._server.end()
        return {"ending": self._server.ending}

    # -- children

    def do_spawn(self, connection: Connection, message: Message, fds: list[int]) -> Answer:
        """Run a process; its pipe or pseudo-terminal comes with the answer."""
        child = spawn(message)
        self._children.keep(child)
        if child.kind == "terminal":
            self._children.read_here(child, False)
        return child.model(), (child.fd,)

    def do_adopt(self, connection: Connection, message: Message, fds: list[int]) -> Message:
        """Take over a process whose keeper is gone, and its pipe or pseudo-terminal, if that came along."""
        child = adopt(message, os.dup(fds[0]) if fds else -1)
        self._children.keep(child)
        if child.kind == "terminal":
            self._children.read_here(child, False)
        return child.model()

    def do_descriptor(self, connection: Connection, message: Message, fds: list[int]) -> Answer:
        """The pipe or pseudo-terminal of a child. A pseudo-terminal is read by who asked, from now on."""
        child = self._children[message["name"]]
        if child.kind == "terminal":
            self._children.read_here(child, False)
        return child.model(), (child.fd,) if child.fd >= 0 else ()

    def do_signal(self, connection: Connection, message: Message, fds: list[int]) -> None:
        """Send a signal to a child, or its group."""
        self._children[message["name"]].signal(int(message["signal"]), bool(message.get("group")))

    def do_forget(self, connection: Connection, message: Message, fds: list[int]) -> None:
        """A child that has ended, and how, is known now."""
        child = self._children.get(message["name"])
        if child is not None and not child.running:
            self._children.forget(child)

    # -- kernels that are listened to

    def do_listen(self, connection: Connection, message: Message, fds: list[int]) -> None:
        """Listen along to a kernel, from now on; in place of how it was listened to before."""
        self._kernels.listen(message)

    def do_deafen(self, connection: Connection, message: Message, fds: list[int]) -> None:
        """Listen no more to a kernel."""
        self._kernels.deafen(message["name"])

    def do_stored(self, connection: Connection, message: Message, fds: list[int]) -> None:
        """The daemon has stored the message of a signature, and all before it."""
        self._kernels.stored(message["name"], str(message["signature"]).encode())

    def do_record(self, connection: Connection, message: Message, fds: list[int]) -> Message:
        """Write down what a kernel says, beside the daemon; how many messages came so far, and whether all did."""
        return self._kernels.record(message["name"])

    def do_hang_up(self, connection: Connection, message: Message, fds: list[int]) -> Message:
        """Take no replies any more; how much is in the file."""
        return self._kernels.hang_up(message["name"])

    def do_release(self, connection: Connection, message: Message, fds: list[int]) -> Message:
        """The daemon hears the kernel itself: write no more; how much is in the file."""
        return self._kernels.release(message["name"])

    def do_forget_file(self, connection: Connection, message: Message, fds: list[int]) -> None:
        """The daemon has stored what was in the file."""
        self._kernels.forget_file(message["name"])

    # -- one daemon takes over from another

    def do_take_over(self, connection: Connection, message: Message, fds: list[int]) -> Message:
        """Ask the daemon that is here for its listening sockets; it answers by ``pass_on``."""
        if not any(each.claimed and each is not connection for each in self._server.connections()):
            return {"busy": False}
        if self._successor is not None:
            raise ValueError("another process takes over already")
        self._successor = connection, message.get("id")
        self._server.tell({"event": "successor"})
        return LATER

    def do_pass_on(self, connection: Connection, message: Message, fds: list[int]) -> None:
        """Give the daemon's listening sockets to who takes over."""
        self._reply_to_successor({"busy": True, "places": message.get("places")}, tuple(fds))

    def do_refuse(self, connection: Connection, message: Message, fds: list[int]) -> None:
        """The daemon does not hand over."""
        self._reply_to_successor({"error": str(message.get("why"))})
        self._successor = None

    def _reply_to_successor(self, answer: Message, fds: tuple[int, ...] = ()) -> None:
        if self._successor is None:
            raise ValueError("nobody takes over")
        successor, number = self._successor
        successor.send({**answer, "id": number}, fds)

    def do_go(self, connection: Connection, message: Message, fds: list[int]) -> None:
        """Who takes over is ready: the daemon is to go."""
        if self._successor is None or self._successor[0] is not connection:
            raise ValueError("it does not take over")
        self._successor = None
        self._server.tell({"event": "go"})

    # -- clients' connections

    def do_hold(self, connection: Connection, message: Message, fds: list[int]) -> None:
        """Keep a client's connection open if the daemon is killed."""
        self._held.hold(int(message["key"]), *map(os.dup, fds[:2]))

    def do_drop(self, connection: Connection, message: Message, fds: list[int]) -> None:
        """The daemon has closed it."""
        self._held.drop(int(message["key"]))

    def do_taken(self, connection: Connection, message: Message, fds: list[int]) -> Message:
        """How many bytes the system had taken for each connection of the daemon that went away last, by their keys."""
        return {"taken": {str(key): count for key, count in self._held.taken.items()}}
