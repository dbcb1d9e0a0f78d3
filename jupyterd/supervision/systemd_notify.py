"""Notifications to the service manager (``sd_notify``): that we are there, that we go, and that we are alive."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from typing import Any

from twisted.logger import Logger

from jupyterd.system.periodic import Periodic


def service_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Where the service manager listens and how often it wants to hear: for this process and no other."""
    return {name: value for name, value in environment.items() if name.startswith(("NOTIFY_SOCKET", "WATCHDOG_"))}


def keep_from_children(environment: MutableMapping[str, str]) -> None:
    """Take these variables away once they are read, and those of sockets: a kernel could tell the service manager lies.

    Source: sd_notify(3), sd_watchdog_enabled(3), sd_listen_fds(3).
    """
    for name in [*service_variables(environment), *(name for name in environment if name.startswith("LISTEN_"))]:
        del environment[name]


class Notify:
    """Speaks the protocol of sd_notify(3); silent where nobody listens.

    :param address: ``NOTIFY_SOCKET``: a path, or a name with ``@`` before it.
    """

    log = Logger()

    def __init__(self, address: str = "") -> None:
        self._address = f"\0{address[1:]}" if address.startswith("@") else address

    @classmethod
    def from_environment(cls) -> Notify:
        """For the service manager that started this process, if one did."""
        return cls(os.environ.get("NOTIFY_SOCKET", ""))

    def ready(self) -> None:
        """It answers."""
        self.say("READY=1", f"MAINPID={os.getpid()}")

    def reloading(self) -> None:
        """It reads its settings again; :meth:`ready` follows when that is done (``Type=notify-reload``)."""
        self.say("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def hand_over(self, pid: int) -> None:
        """Another process of the same service is its main one from now on."""
        self.say(f"MAINPID={pid}")

    def stopping(self) -> None:
        """It goes."""
        self.say("STOPPING=1")

    def say(self, *lines: str) -> None:
        """One datagram; a service manager that does not take it must not stop us."""
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagram:
                datagram.setblocking(False)
                datagram.sendto("\n".join(lines).encode(), self._address)
        except OSError as error:
            self.log.warn("the service manager can not be told {lines}: {error}", lines=lines, error=error)


class Watchdog(Periodic):
    """Tells the service manager that the reactor turns and the thread pools work, twice as often as it asks for.

    :param seconds: how long it waits before it takes us for dead; 0: it does not watch.
    :param silent: gives the names of what should answer and does not; then the service manager is told nothing.
    """

    log = Logger()

    def __init__(
        self, clock: Any, say: Callable[[str], None], seconds: float, silent: Callable[[], Sequence[str]] = tuple
    ) -> None:
        super().__init__(clock)
        self._seconds = seconds
        self._say = say
        self._silent = silent

    def interval(self) -> float:
        """Half of what the service manager waits."""
        return self._seconds / 2

    def turn(self) -> None:
        """Say it."""
        if names := self._silent():
            self.log.critical(
                "these thread pools do not answer: {names}; the service manager is not told that all is well",
                names=", ".join(names),
            )
        else:
            self._say("WATCHDOG=1")


def watchdog_seconds(environment: Mapping[str, str]) -> float:
    """What the service manager asks of this process (``WATCHDOG_USEC``, ``WATCHDOG_PID``); 0 if nothing."""
    microseconds = environment.get("WATCHDOG_USEC", "")
    if environment.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()) or not microseconds.isdecimal():
        return 0.0
    return int(microseconds) / 1e6
