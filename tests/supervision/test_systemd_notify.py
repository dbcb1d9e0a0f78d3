"""What the service manager is told, and its watchdog."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from twisted.internet.testing import MemoryReactorClock

from jupyterd.supervision.systemd_notify import (
    Notify,
    Watchdog,
    keep_from_children,
    service_variables,
    watchdog_seconds,
)


def test_the_service_manager_is_told(tmp_path: Path) -> None:
    path = str(tmp_path / "n")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        manager.setblocking(False)
        Notify(path).ready()
        assert manager.recv(100) == f"READY=1\nMAINPID={os.getpid()}".encode()
        Notify(path).stopping()
        assert manager.recv(100) == b"STOPPING=1"
    Notify(path).ready()
    Notify("").ready()


def test_an_abstract_name() -> None:
    name = f"jupyterd-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"\0{name}")
        manager.setblocking(False)
        Notify(f"@{name}").stopping()
        assert manager.recv(100) == b"STOPPING=1"


def test_the_watchdog_is_fed_in_time() -> None:
    clock, said = MemoryReactorClock(), []
    watchdog = Watchdog(clock, said.append, watchdog_seconds({"WATCHDOG_USEC": "10000000"}))
    watchdog.startService()
    clock.advance(5)
    clock.advance(5)
    assert said == ["WATCHDOG=1"] * 2
    watchdog.stopService()
    clock.advance(50)
    assert len(said) == 2


def test_the_watchdog_is_not_fed_while_a_pool_is_silent() -> None:
    clock, said, silent = MemoryReactorClock(), [], ["contents"]
    watchdog = Watchdog(clock, said.append, 10.0, lambda: silent)
    watchdog.startService()
    clock.advance(5)
    assert said == []
    silent.clear()
    clock.advance(5)
    assert said == ["WATCHDOG=1"]
    watchdog.stopService()


def test_no_child_gets_what_the_service_manager_told_the_daemon() -> None:
    environment = {
        "NOTIFY_SOCKET": "/n", "WATCHDOG_USEC": "1", "WATCHDOG_PID": "2", "LISTEN_FDS": "1", "LISTEN_PIDFDID": "3",
        "PATH": "/bin", "LISTENER": "mine",
    }  # fmt: skip
    assert service_variables(environment) == {"NOTIFY_SOCKET": "/n", "WATCHDOG_USEC": "1", "WATCHDOG_PID": "2"}
    keep_from_children(environment)
    assert environment == {"PATH": "/bin", "LISTENER": "mine"}


def test_nobody_watches() -> None:
    assert watchdog_seconds({}) == 0
    assert watchdog_seconds({"WATCHDOG_USEC": "1", "WATCHDOG_PID": "1"}) == 0
    assert watchdog_seconds({"WATCHDOG_USEC": "x"}) == 0
    Watchdog(MemoryReactorClock(), print, 0).startService()
