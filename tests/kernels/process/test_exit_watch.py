"""Standard error kept and logged, ends of processes told, without any kernel."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
from twisted.logger import Logger

from jupyterd.kernels.process import exit_watch
from jupyterd.kernels.process.exit_watch import ProcessWatch, StandardError, StandardErrorLog


class Readers:
    """What of a reactor reads descriptors."""

    def __init__(self) -> None:
        self.readers: list[Any] = []
        self.now = 0.0

    def seconds(self) -> float:
        return self.now

    def addReader(self, reader: Any) -> None:
        self.readers.append(reader)

    def removeReader(self, reader: Any) -> None:
        self.readers = [other for other in self.readers if other is not reader]

    def callFromThread(self, call: Callable[[], None]) -> None:
        call()


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    lines: list[str] = []
    monkeypatch.setattr(StandardErrorLog, "log", Logger(observer=lambda event: lines.append(event["line"])))
    return lines


def test_lines_go_to_the_log_and_the_last_ones_are_kept(logged: list[str]) -> None:
    reactor = Readers()
    stderr = StandardError(reactor, "k")
    os.write(stderr.write_fd, b"one\ntw")
    reactor.readers[0].doRead()
    assert logged == ["one"]
    os.write(stderr.write_fd, b"o\nlast")
    assert stderr.drain() == "one\ntwo\nlast"
    assert logged == ["one", "two", "last"]
    stderr.close()
    assert reactor.readers == []


def test_the_end_of_the_stream_closes_it(logged: list[str]) -> None:
    reactor = Readers()
    stderr = StandardError(reactor, "k")
    os.write(stderr.write_fd, b"last")
    stderr.launched()
    reactor.readers[0].doRead()
    reactor.readers[0].doRead()
    assert logged == ["last"]
    assert reactor.readers == []
    assert stderr.fileno() == -1
    assert stderr.drain() == "last"


def test_a_flood_is_counted_not_logged(logged: list[str]) -> None:
    reactor = Readers()
    stderr = StandardError(reactor, "k")
    os.write(stderr.write_fd, b"x\n" * 150)
    reactor.readers[0].doRead()
    assert len(logged) == 100
    reactor.now = 1.0
    os.write(stderr.write_fd, b"y\n")
    reactor.readers[0].doRead()
    assert logged[100:] == ["(50 more lines of standard error)", "y"]
    os.write(stderr.write_fd, b"z\n" * 150)
    assert stderr.drain().endswith("z\nz")
    assert logged[-1] == "(51 more lines of standard error)"
    stderr.close()


def test_a_dead_kernel_s_chatty_children_are_not_waited_for(logged: list[str]) -> None:
    stderr = StandardError(Readers(), "k")
    assert stderr.drain() == ""
    stderr.close()
    stderr.close()


class Process:
    """A child that has ended."""

    def __init__(self, status: int) -> None:
        self.pid = os.getpid()
        self.returncode: int | None = None
        self._status = status

    def poll(self) -> int | None:
        self.returncode = self._status
        return self._status

    def wait(self) -> int:
        return self._status


class AtOnce:
    """A thread that runs when it is started."""

    def __init__(self, target: Callable[[], None], **_: Any) -> None:
        self.start = target


def test_an_end_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read, write = os.pipe()
    monkeypatch.setattr(exit_watch, "_pidfd_open", lambda pid: read)
    killed: list[int] = []
    monkeypatch.setattr(exit_watch, "kill_group", killed.append)
    reactor, told = Readers(), []
    ProcessWatch(reactor, Process(-9), told.append)
    assert told == []
    reactor.readers[0].doRead()
    assert told == [-9]
    assert killed == [os.getpid()]
    assert reactor.readers == []
    os.close(write)


def test_without_descriptors_for_processes_a_thread_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exit_watch, "_pidfd_open", lambda pid: None)
    monkeypatch.setattr(exit_watch.threading, "Thread", AtOnce)
    told: list[int | None] = []
    ProcessWatch(Readers(), Process(3), told.append)
    assert told == [3]


def test_nobody_is_told_after_the_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    read, write = os.pipe()
    monkeypatch.setattr(exit_watch, "_pidfd_open", lambda pid: read)
    reactor, told = Readers(), []
    ProcessWatch(reactor, Process(0), told.append).stop()
    assert reactor.readers == []
    assert told == []
    os.close(write)


def test_only_the_leader_of_a_group_takes_its_group_along(monkeypatch: pytest.MonkeyPatch) -> None:
    killed: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "killpg", lambda pid, number: killed.append((pid, number)))
    monkeypatch.setattr(os, "getpgid", lambda pid: 7)
    exit_watch.kill_group(8)
    assert killed == []
    exit_watch.kill_group(7)
    assert killed == [(7, 9)]
