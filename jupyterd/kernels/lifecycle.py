"""Lifecycle of a kernel as a typed state machine; its picture is in docs/kernels.md.

The machine knows which event may follow which; what is done about it is its :class:`Body`'s.
"""

from __future__ import annotations

from typing import Protocol

from automat import TypeMachineBuilder
from twisted.internet.interfaces import IDelayedCall

from jupyterd.kernels.process.death import Death


class Life(Protocol):
    """Inputs of the machine: what can happen to a kernel."""

    def starts(self) -> None:
        """It says that it starts."""

    def busy(self) -> None:
        """It says that it works on a request."""

    def idle(self) -> None:
        """It says that it waits for one."""

    def restart(self) -> None:
        """A client wants it restarted."""

    def died(self, death: Death) -> None:
        """Its process ended by itself and is started again."""

    def lost(self, death: Death) -> None:
        """Its process ended by itself and is not started again."""

    def launched(self) -> None:
        """Its process runs again."""

    def terminate(self) -> None:
        """A client, the culler or the daemon's end wants it shut down."""


class Body(Protocol):
    """Outputs of the machine: what it acts on."""

    def enter(self, state: str) -> None:
        """The kernel is now in ``state``."""

    def tell_death(self, death: Death, state: str) -> None:
        """Tell clients why its process ended, and the state it is in by that."""

    def forget_later(self) -> IDelayedCall:
        """Set the time after which a dead kernel is forgotten; it is part of the state ``dead``."""


builder = TypeMachineBuilder(Life, Body)  # type: ignore[type-abstract]


def _forgotten_later(life: Life, body: Body, death: Death) -> IDelayedCall:
    return body.forget_later()


starting = builder.state("starting")
idle = builder.state("idle")
busy = builder.state("busy")
restarting = builder.state("restarting")
autorestarting = builder.state("autorestarting")
dead = builder.state("dead", _forgotten_later)
terminating = builder.state("terminating")

# What is done on the way into a state.


def _starts(life: Life, body: Body) -> None:
    body.enter("starting")


def _works(life: Life, body: Body) -> None:
    body.enter("busy")


def _waits(life: Life, body: Body) -> None:
    body.enter("idle")


def _restarts(life: Life, body: Body) -> None:
    body.enter("restarting")


def _dies(life: Life, body: Body, death: Death) -> None:
    body.enter("autorestarting")
    body.tell_death(death, "restarting")


def _is_lost(life: Life, body: Body, death: Death) -> None:
    body.enter("dead")
    body.tell_death(death, "dead")


def _ends(life: Life, body: Body) -> None:
    body.enter("terminating")


# The same out of the state ``dead``: the kernel is not to be forgotten by the time that was set.


def _starts_after_all(life: Life, body: Body, forgetting: IDelayedCall) -> None:
    _remember(forgetting)
    body.enter("starting")


def _restarts_after_all(life: Life, body: Body, forgetting: IDelayedCall) -> None:
    _remember(forgetting)
    body.enter("restarting")


def _ends_for_good(life: Life, body: Body, forgetting: IDelayedCall) -> None:
    _remember(forgetting)
    body.enter("terminating")


def _remember(forgetting: IDelayedCall) -> None:
    if forgetting.active():
        forgetting.cancel()


# Its process runs.

starting.upon(Life.starts).to(starting)(_starts)
starting.upon(Life.busy).to(busy)(_works)
starting.upon(Life.idle).to(idle)(_waits)
starting.upon(Life.restart).to(restarting)(_restarts)
starting.upon(Life.died).to(autorestarting)(_dies)
starting.upon(Life.lost).to(dead)(_is_lost)
starting.upon(Life.launched).loop().returns(None)
starting.upon(Life.terminate).to(terminating)(_ends)

idle.upon(Life.starts).to(starting)(_starts)
idle.upon(Life.busy).to(busy)(_works)
idle.upon(Life.idle).to(idle)(_waits)
idle.upon(Life.restart).to(restarting)(_restarts)
idle.upon(Life.died).to(autorestarting)(_dies)
idle.upon(Life.lost).to(dead)(_is_lost)
idle.upon(Life.launched).loop().returns(None)
idle.upon(Life.terminate).to(terminating)(_ends)

busy.upon(Life.starts).to(starting)(_starts)
busy.upon(Life.busy).to(busy)(_works)
busy.upon(Life.idle).to(idle)(_waits)
busy.upon(Life.restart).to(restarting)(_restarts)
busy.upon(Life.died).to(autorestarting)(_dies)
busy.upon(Life.lost).to(dead)(_is_lost)
busy.upon(Life.launched).loop().returns(None)
busy.upon(Life.terminate).to(terminating)(_ends)

# It does not. Messages that were under way when it ended say nothing about the one to come.

restarting.upon(Life.starts).loop().returns(None)
restarting.upon(Life.busy).loop().returns(None)
restarting.upon(Life.idle).loop().returns(None)
restarting.upon(Life.restart).to(restarting)(_restarts)
restarting.upon(Life.died).to(autorestarting)(_dies)
restarting.upon(Life.lost).to(dead)(_is_lost)
restarting.upon(Life.launched).to(starting)(_starts)
restarting.upon(Life.terminate).to(terminating)(_ends)

autorestarting.upon(Life.starts).loop().returns(None)
autorestarting.upon(Life.busy).loop().returns(None)
autorestarting.upon(Life.idle).loop().returns(None)
autorestarting.upon(Life.restart).to(restarting)(_restarts)
autorestarting.upon(Life.died).to(autorestarting)(_dies)
autorestarting.upon(Life.lost).to(dead)(_is_lost)
autorestarting.upon(Life.launched).to(starting)(_starts)
autorestarting.upon(Life.terminate).to(terminating)(_ends)

dead.upon(Life.starts).loop().returns(None)
dead.upon(Life.busy).loop().returns(None)
dead.upon(Life.idle).loop().returns(None)
dead.upon(Life.restart).to(restarting)(_restarts_after_all)
dead.upon(Life.died).loop().returns(None)
dead.upon(Life.lost).loop().returns(None)
dead.upon(Life.launched).to(starting)(_starts_after_all)
dead.upon(Life.terminate).to(terminating)(_ends_for_good)

# It is to end, before or after it was asked to: nothing brings it back.

terminating.upon(Life.starts).loop().returns(None)
terminating.upon(Life.busy).loop().returns(None)
terminating.upon(Life.idle).loop().returns(None)
terminating.upon(Life.restart).loop().returns(None)
terminating.upon(Life.died).loop().returns(None)
terminating.upon(Life.lost).loop().returns(None)
terminating.upon(Life.launched).loop().returns(None)
terminating.upon(Life.terminate).loop().returns(None)

kernel_life = builder.build()
"""Makes the life of a kernel, which is starting, for its :class:`Body`."""
