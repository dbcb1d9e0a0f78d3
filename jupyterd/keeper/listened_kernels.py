"""Kernels that a keeper listens to, turn by turn: beside the daemon, and in its place."""

from __future__ import annotations

import selectors
import time
from contextlib import suppress
from typing import Any

import zmq

from jupyterd.keeper.listening import Listener
from jupyterd.keeper.wire import Message

DOZE = 0.005
"""Seconds for which a kernel that is listened to along is left alone after it was read: what it says of one cell is
read together, and not message by message. Its socket holds what comes meanwhile."""


class ListenedKernels:
    """Their listeners, by their names.

    :param selector: the loop's.
    """

    def __init__(self, selector: selectors.BaseSelector) -> None:
        self._selector = selector
        self._listeners: dict[str, Listener] = {}
        self._pending: set[str] = set()
        self._dozing: dict[str, float] = {}
        self._context: zmq.Context[Any] | None = None

    def __getitem__(self, name: str) -> Listener:
        """The listener of a kernel, awake.

        :raises KeyError: there is none.
        """
        listener = self._listeners.get(name)
        if listener is None:
            raise KeyError(f"{name} is not listened to")
        self._wake(name)
        return listener

    def models(self) -> list[Message]:
        """All of them, for JSON."""
        return [each.model() for each in self._listeners.values()]

    # -- the loop

    @property
    def pending(self) -> bool:
        """Whether there is more to read now."""
        return bool(self._pending)

    def times(self) -> list[float]:
        """Monotonic seconds at which some of them want their turn."""
        return [*(each.silent_until for each in self._listeners.values() if each.silent_until), *self._dozing.values()]

    def turn(self) -> None:
        """Read what has come, and go on with those that were left alone."""
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

    def _hear(self, name: str) -> None:
        listener = self._listeners.get(name)
        if listener is None or name in self._dozing:
            return
        before = listener.heard
        if listener.read():
            self._pending.add(name)
        elif listener.heard != before and not listener.recording:
            self._unwatch(listener)
            self._dozing[name] = time.monotonic() + DOZE

    def _wake(self, name: str) -> None:
        """Read what came while it was left alone, and have its sockets watched again, or doze on."""
        if self._dozing.pop(name, None) is None or (listener := self._listeners.get(name)) is None:
            return
        self._hear(name)
        if name not in self._dozing:
            self._watch(listener)

    def _watch(self, listener: Listener) -> None:
        for sock in listener.sockets.values():
            fd = sock.getsockopt(zmq.FD)
            if fd not in self._selector.get_map():
                self._selector.register(fd, selectors.EVENT_READ, lambda fd, mask: self._hear(listener.name))

    def _unwatch(self, listener: Listener) -> None:
        for sock in listener.sockets.values():
            with suppress(KeyError):
                self._selector.unregister(sock.getsockopt(zmq.FD))

    # -- what is done with them

    def listen(self, request: Message) -> None:
        """Listen along to a kernel, from now on; in place of how it was listened to before.

        :param request: see :class:`~jupyterd.keeper.listening.Listener`.
        """
        self.deafen(request["name"])
        if self._context is None:
            self._context = zmq.Context(1)
        listener = Listener(self._context, request)
        self._listeners[listener.name] = listener
        self._watch(listener)
        self._pending.add(listener.name)

    def deafen(self, name: str) -> None:
        """Listen no more to a kernel."""
        listener = self._listeners.pop(name, None)
        if listener is not None:
            self._dozing.pop(listener.name, None)
            self._unwatch(listener)
            listener.close()

    def record(self, name: str) -> Message:
        """Write down what a kernel says, beside the daemon; how many messages came so far, and whether all did."""
        listener = self[name]
        listened = not listener.silent_until
        listener.record(replies=False)
        self._pending.add(listener.name)
        return {**_counts(listener), "listened": listened}

    def hang_up(self, name: str) -> Message:
        """Take no replies any more; how much is in the file."""
        listener = self[name]
        for channel, sock in listener.sockets.items():
            if channel:
                with suppress(KeyError):
                    self._selector.unregister(sock.getsockopt(zmq.FD))
        while listener.read():
            pass
        listener.hang_up()
        return _counts(listener)

    def release(self, name: str) -> Message:
        """The daemon hears the kernel itself: write no more; how much is in the file."""
        listener = self[name]
        while listener.read():
            pass
        listener.release()
        return _counts(listener)

    def stored(self, name: str, signature: bytes) -> None:
        """The daemon has stored the message of a signature, and all before it."""
        if name in self._listeners:
            self[name].stored(signature)

    def forget_file(self, name: str) -> None:
        """The daemon has stored what was in the file."""
        listener = self[name]
        if not listener.recording:
            listener.forget_file()

    def record_all(self) -> None:
        """No daemon is there any more: write down all that they say, replies too."""
        for name, listener in self._listeners.items():
            listener.record(replies=True)
            self._dozing.pop(name, None)
            self._watch(listener)
            self._pending.add(name)

    def close(self) -> None:
        """Let go of all of them."""
        for listener in self._listeners.values():
            listener.close()


def _counts(listener: Listener) -> Message:
    return {"size": listener.size, "heard": listener.heard, "lost": listener.lost}
