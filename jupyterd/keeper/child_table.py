"""Table of a keeper's children: they are watched and read, and what they say and how they end is told."""

from __future__ import annotations

import os
import selectors
from collections.abc import Callable
from contextlib import suppress

from jupyterd.keeper.children import Child, end_all
from jupyterd.keeper.wire import Message

Tell = Callable[[Message, bool], object]
"""Tells the daemon of an event; without need (False) only one that reads."""


class ChildTable:
    """The children by their names, those among them that have ended and whose end is not known to a daemon yet.

    :param selector: the loop's.
    """

    def __init__(self, selector: selectors.BaseSelector, tell: Tell) -> None:
        self._selector = selector
        self._tell = tell
        self._children: dict[str, Child] = {}

    def __getitem__(self, name: str) -> Child:
        return self._children[name]

    def get(self, name: str) -> Child | None:
        """The child of that name, None where there is none."""
        return self._children.get(name)

    @property
    def running(self) -> bool:
        """Whether any of them runs."""
        return any(child.running for child in self._children.values())

    def models(self) -> list[Message]:
        """All of them, for JSON."""
        return [child.model() for child in self._children.values()]

    def keep(self, child: Child) -> None:
        """A new child; it takes the place of one of its name."""
        old = self._children.get(child.name)
        if old is not None:
            self.forget(old)
        self._children[child.name] = child
        self._selector.register(child.pidfd, selectors.EVENT_READ, lambda fd, mask: self._ended(child))
        child.read_here = False
        self.read_here(child, True)

    def read_here(self, child: Child, wanted: bool) -> None:
        """Whether the keeper reads a child's pipe or pseudo-terminal, or the daemon does."""
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

    def read_all_here(self) -> None:
        """No daemon is there any more."""
        for child in self._children.values():
            self.read_here(child, True)

    def forget(self, child: Child) -> None:
        """All is known of how a child ended."""
        self.read_here(child, False)
        if child.pidfd >= 0:
            with suppress(KeyError):
                self._selector.unregister(child.pidfd)
        child.close()
        if self._children.get(child.name) is child:
            del self._children[child.name]

    def end_all(self, patience: float) -> None:
        """End those that run; blocks for ``patience`` seconds at most before they are killed."""
        end_all([child for child in self._children.values() if child.running], patience)

    def close(self) -> None:
        """Let go of all of them."""
        for child in self._children.values():
            child.close()

    def _wrote(self, child: Child) -> None:
        if not child.read(self._said):
            self.read_here(child, False)

    def _said(self, child: Child, data: bytes) -> None:
        self._tell({"event": "stderr", "name": child.name, "data": data.decode("latin-1")}, False)

    def _ended(self, child: Child) -> None:
        if not child.running:
            return
        self._selector.unregister(child.pidfd)
        child.reap()
        if child.read_here:
            self.read_here(child, False)
            child.drain(self._said)
        if child.kind == "kernel" and child.fd >= 0:
            self.read_here(child, False)
            os.close(child.fd)
            child.fd = -1
        self._tell({"event": "ended", **child.model()}, True)
