"""Autoreload: starting again when a Python file changes, for those who develop the server or an extension."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from jupyterd.system.periodic import Periodic
from jupyterd.system.threads import InThread

LOOK_SECONDS = 1.0


def python_files() -> list[str]:
    """The files of all modules that are loaded now."""
    files = (getattr(module, "__file__", None) for module in list(sys.modules.values()))
    return [name for name in files if name and name.endswith(".py")]


def again(variables: Mapping[str, str]) -> None:
    """Replace this process by a new one with the same command line.

    :param variables: what it gets beside the environment, which has them no more: children must not.
    """
    command = [sys.executable, *sys.orig_argv[1:]]
    os.execve(sys.executable, command, {**os.environ, **variables})  # noqa: S606 - it is our own


class Autoreload(Periodic):
    """Stops the daemon when a file changes, and starts it again once all has stopped.

    :param reactor: its last event is what the new start waits for.
    :param files: names what is watched.
    :param restart: called after the reactor has stopped.
    :ivar restarting: it has stopped the daemon.
    """

    first_at_once = True
    log = Logger()

    def __init__(
        self,
        reactor: Any,
        in_thread: InThread,
        files: Callable[[], Iterable[str]] = python_files,
        *,
        restart: Callable[[], None],
    ) -> None:
        super().__init__(reactor)
        self._reactor = reactor
        self._in_thread = in_thread
        self._files = files
        self._restart = restart
        self.restarting = False
        self._seen: dict[str, float] = {}

    def interval(self) -> float:
        """A second."""
        return LOOK_SECONDS

    def turn(self) -> Deferred[None]:
        """Compare the files with what they were."""
        return self._in_thread(_times, list(self._files())).addCallback(self._compare)

    def _compare(self, times: dict[str, float]) -> None:
        changed = [name for name, time in times.items() if self._seen.get(name, time) != time]
        self._seen.update(times)
        if not changed or not self.running:
            return
        self.log.info("{name} has changed, starting again", name=changed[0])
        self.no_more()
        self.restarting = True
        self._reactor.addSystemEventTrigger("after", "shutdown", self._restart)
        self._reactor.stop()


def _times(files: Iterable[str]) -> dict[str, float]:
    found = {}
    for name in files:
        try:
            found[name] = os.stat(name).st_mtime
        except OSError:
            continue  # an editor is just replacing it
    return found
