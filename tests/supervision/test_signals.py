"""Signals, told by hand: no process is signalled."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.testing import MemoryReactorClock

from jupyterd.supervision.signals import Signals


class Reactor(MemoryReactorClock):
    """Runs at once what is meant for its thread or for another."""

    def callFromThread(self, function: Callable[..., Any], *args: Any) -> None:  # type: ignore[override]
        function(*args)

    callInThread = callFromThread


class Heard:
    """What the rest of the daemon is asked to do, in order."""

    def __init__(self, answer: bool | None = None) -> None:
        self.calls: list[str] = []
        self.answer = answer
        self.reactor = Reactor()
        self.signals = Signals(
            self.reactor,
            stop=lambda: self.calls.append("stop"),
            hurry=lambda: self.calls.append("hurry"),
            reload=lambda: self.calls.append("reload"),
            describe=lambda: self.calls.append("describe") or "one\ntwo",  # type: ignore[func-returns-value]
            ask=None if answer is None else self.ask,
        )

    def ask(self) -> bool:
        self.calls.append("ask")
        return bool(self.answer)


@pytest.fixture(autouse=True)
def handlers() -> Any:
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def deliver(number: signal.Signals) -> None:
    handler = signal.getsignal(number)
    assert callable(handler)
    handler(number, None)


def running(heard: Heard) -> Heard:
    heard.signals.startService()
    heard.reactor.run()
    return heard


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_first_one_stops_and_a_second_hurries(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    heard = running(Heard())
    deliver(number)
    assert heard.calls == ["stop"]
    deliver(number)
    assert heard.calls == ["stop", "hurry"]
    assert signal.getsignal(number) == before, "a third one is not ours"


def test_a_terminal_is_asked() -> None:
    heard = running(Heard(answer=False))
    deliver(signal.SIGINT)
    assert heard.calls == ["describe", "ask"]
    heard.answer = True
    deliver(signal.SIGINT)
    assert heard.calls == ["describe", "ask", "describe", "ask", "stop"]


def test_a_second_interrupt_is_an_answer() -> None:
    heard = running(Heard(answer=False))
    waiting: list[Callable[[], None]] = []
    heard.reactor.callInThread = lambda function: waiting.append(function)  # type: ignore[method-assign]
    deliver(signal.SIGINT)
    deliver(signal.SIGINT)
    assert heard.calls == ["describe", "stop"]
    waiting[0]()
    assert heard.calls == ["describe", "stop", "ask"], "the answer comes too late to matter"


def test_sigterm_is_not_asked_about() -> None:
    heard = running(Heard(answer=False))
    deliver(signal.SIGTERM)
    assert heard.calls == ["stop"]


def test_hang_up_reloads_and_user_one_describes() -> None:
    signal.signal(signal.SIGUSR1, signal.SIG_DFL)
    heard = running(Heard())
    deliver(signal.SIGHUP)
    deliver(signal.SIGUSR1)
    assert heard.calls == ["reload", "describe"]


def test_twistd_keeps_its_signal_for_rotating_logs() -> None:
    def rotate(*_: object) -> None: ...

    signal.signal(signal.SIGUSR1, rotate)
    running(Heard())
    assert signal.getsignal(signal.SIGUSR1) is rotate


def test_a_signal_while_the_server_starts_is_kept_for_the_reactor() -> None:
    before = signal.getsignal(signal.SIGTERM)
    heard = Heard()
    queue: list[Callable[[], None]] = []
    heard.reactor.callFromThread = queue.append  # type: ignore[method-assign, assignment]
    heard.signals.startService()
    deliver(signal.SIGTERM)
    signal.signal(signal.SIGTERM, before)  # as the reactor sets its own when it starts
    heard.reactor.run()
    assert heard.calls == []
    queue.pop()()
    assert heard.calls == ["stop"]
    deliver(signal.SIGTERM)
    queue.pop()()
    assert heard.calls == ["stop", "hurry"]
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_what_nohup_or_a_shell_ignores_for_us_stays_ignored(number: signal.Signals) -> None:
    signal.signal(number, signal.SIG_IGN)
    running(Heard())
    assert signal.getsignal(number) == signal.SIG_IGN
