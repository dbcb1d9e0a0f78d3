"""Stopping when nobody uses the server; starting again when a file changes."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.testing import MemoryReactorClock

from jupyterd.supervision.autoreload import Autoreload, again, python_files
from jupyterd.supervision.idle_stop import IdleStop
from jupyterd.testing.deferreds import at_once


class Use:
    """A server whose use the test decides."""

    def __init__(self, timeout: float) -> None:
        self.clock = MemoryReactorClock()
        self.kernels = 0
        self.used = self.clock.seconds()
        self.stopped: list[float] = []
        self.service = IdleStop(
            self.clock,
            timeout,
            busy=lambda: self.kernels,
            last_used=lambda: self.used,
            stop=lambda: self.stopped.append(self.clock.seconds()),
        )
        self.service.startService()

    def wait(self, minutes: int) -> None:
        for _ in range(minutes):
            self.clock.advance(60)


def test_it_stops_within_a_minute_of_its_time() -> None:
    use = Use(timeout=150)
    use.wait(2)
    assert use.stopped == []
    use.wait(10)
    assert use.stopped == [180.0]


def test_use_puts_it_off() -> None:
    use = Use(timeout=90)
    use.wait(1)
    use.used = use.clock.seconds()
    use.wait(1)
    assert use.stopped == []
    use.wait(1)
    assert use.stopped == [180.0]


def test_a_kernel_or_terminal_keeps_it() -> None:
    use = Use(timeout=60)
    use.kernels = 1
    use.wait(100)
    assert use.stopped == []
    use.kernels = 0
    use.wait(1)
    assert len(use.stopped) == 1


@pytest.mark.parametrize("timeout", [0, -1])
def test_by_default_it_stays(timeout: float) -> None:
    use = Use(timeout)
    use.wait(1000)
    assert use.stopped == []
    use.service.stopService()


def test_a_changed_file_starts_it_again(tmp_path: Path) -> None:
    watched = tmp_path / "a.py"
    watched.touch()
    reactor, restarted = MemoryReactorClock(), []
    triggers: list[tuple[Any, ...]] = []
    reactor.addSystemEventTrigger = lambda *trigger: triggers.append(trigger)  # type: ignore[method-assign]
    service = Autoreload(
        reactor, at_once, lambda: [str(watched), str(tmp_path / "gone.py")], restart=lambda: restarted.append(1)
    )
    reactor.running = True
    service.startService()
    reactor.advance(1)
    assert triggers == []
    assert not service.restarting
    os.utime(watched, (1, 1))
    reactor.advance(1)
    [(phase, event, restart)] = triggers
    assert (phase, event, reactor.hasStopped) == ("after", "shutdown", True)
    assert service.restarting
    restart()
    assert restarted == [1]
    service.stopService()


def test_the_new_process_gets_what_the_service_manager_told_the_old_one(monkeypatch: pytest.MonkeyPatch) -> None:
    executed: list[Any] = []
    monkeypatch.setattr(os, "execve", lambda *arguments: executed.append(arguments))
    again({"NOTIFY_SOCKET": "/run/notify"})
    [(_, command, environment)] = executed
    assert command[1:] == sys.orig_argv[1:]
    assert (environment["NOTIFY_SOCKET"], environment["PATH"]) == ("/run/notify", os.environ["PATH"])


def test_it_watches_what_is_loaded() -> None:
    assert __file__ in python_files()
