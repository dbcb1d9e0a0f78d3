"""A kernel's life as a typed state machine; its picture is in docs/kernels.md.

The machine knows which event may follow which; what is done about it is its :class:`Body`'s.
"""

from __future__ import annotations

from typing import Protocol

from automat import TypeMachineBuilder

from jupyterd.kernels.process.death import Death


class Life(Protocol):
    """What can happen to a kernel."""

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
    """What the machine acts on."""

    def enter(self, state: str) -> None:
        """The kernel is now in ``state``."""

    def tell_death(self, death: Death, state: str) -> None:
        """Tell clients why its process ended, and the state it is in by that."""


builder = TypeMachineBuilder(Life, Body)  # type: ignore[type-abstract]
starting = builder.state("starting")
idle = builder.state("idle")
busy = builder.state("busy")
restarting = builder.state("restarting")
autorestarting = builder.state("autorestarting")
dead = builder.state("dead")
terminating = builder.state("terminating")

alive = (starting, idle, busy)
down = (restarting, autorestarting, dead)

for state in alive:

    @state.upon(Life.starts).to(starting)
    def _starts(life: Life, body: Body) -> None:
        body.enter("starting")

    @state.upon(Life.busy).to(busy)
    def _busy(life: Life, body: Body) -> None:
        body.enter("busy")

    @state.upon(Life.idle).to(idle)
    def _idle(life: Life, body: Body) -> None:
        body.enter("idle")

    state.upon(Life.launched).loop().returns(None)


for state in (*alive, *down):

    @state.upon(Life.restart).to(restarting)
    def _restart(life: Life, body: Body) -> None:
        body.enter("restarting")

    @state.upon(Life.terminate).to(terminating)
    def _terminate(life: Life, body: Body) -> None:
        body.enter("terminating")


for state in (*alive, restarting, autorestarting):

    @state.upon(Life.died).to(autorestarting)
    def _died(life: Life, body: Body, death: Death) -> None:
        body.enter("autorestarting")
        body.tell_death(death, "restarting")

    @state.upon(Life.lost).to(dead)
    def _lost(life: Life, body: Body, death: Death) -> None:
        body.enter("dead")
        body.tell_death(death, "dead")


for state in down:
    # Messages that were under way when the process ended say nothing about the one to come.
    for said in (Life.starts, Life.busy, Life.idle):
        state.upon(said).loop().returns(None)

    @state.upon(Life.launched).to(starting)
    def _launched(life: Life, body: Body) -> None:
        body.enter("starting")


dead.upon(Life.died).loop().returns(None)
dead.upon(Life.lost).loop().returns(None)

# Its process may end before or after it was asked to: nothing brings it back.
for last in (Life.starts, Life.busy, Life.idle, Life.restart, Life.died, Life.lost, Life.launched, Life.terminate):
    terminating.upon(last).loop().returns(None)

kernel_life = builder.build()
"""Makes the life of a kernel, which is starting, for its :class:`Body`."""
