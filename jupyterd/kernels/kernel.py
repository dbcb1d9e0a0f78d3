"""Kernel: one kernel's record, what it is doing, since when, and why it last died."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from jupyterd.kernels.lifecycle import Life, kernel_life
from jupyterd.kernels.process.death import Death
from jupyterd.system.timestamps import isoformat

if TYPE_CHECKING:
    from jupyterd.kernels.channels.kernel_channels import KernelChannels
    from jupyterd.kernels.process.launcher_interface import KernelProcess


@dataclass(eq=False)
class Kernel:
    """A kernel as clients see it; it observes its own channels.

    :param clock: wall-clock time.
    :param untracked: message types that do not count as its user's activity.
    :param await_forgetting: sets the time after which it is forgotten, when it is dead.
    """

    id: str
    clock: IReactorTime
    untracked: frozenset[str]
    await_forgetting: Callable[[Kernel], IDelayedCall]
    execution_state: str = "starting"
    reason: str = ""
    last_activity: float = field(init=False)
    launched_at: float = field(init=False)
    state_since: float = field(init=False)
    """When ``execution_state`` last changed."""
    died_at: float = 0.0
    """When it last ended unasked; 0: never."""
    failures: int = 0
    """Deaths in a row, without a stable life between them."""
    running: bool = False
    """Its process has been launched."""
    spoke: bool = False
    """It has been heard since it was last launched."""
    ever_spoke: bool = False
    """It has been heard since it was first launched."""
    turn: DeferredLock = field(default_factory=DeferredLock)
    """Held while its process is being started or stopped."""
    ending: Deferred[None] | None = None
    """Fires when it is shut down; None while nobody wants it to be."""
    process: KernelProcess = field(init=False)
    channels: KernelChannels = field(init=False)
    _first_word: Deferred[Death | None] | None = None
    log = Logger()

    def __post_init__(self) -> None:
        self.last_activity = self.launched_at = self.state_since = self.clock.seconds()
        self.life: Life = kernel_life(self)

    # -- what its channels observe

    def activity(self) -> None:
        """A message that counts as activity passed."""
        self.last_activity = self.clock.seconds()
        self.heard()

    def status(self, state: str, parent_type: str) -> None:
        """A status message; what belongs to a request of the server's or a client's own housekeeping is no state.

        After its start a kernel is idle as soon as any status says that it has started.
        """
        self.heard()
        if self.execution_state == "busy":
            self.last_activity = self.clock.seconds()
        if parent_type in self.untracked:
            if self.execution_state == "starting" and state != "starting":
                self.life.idle()
        elif state != self.execution_state:
            if state == "busy":
                self.life.busy()
            elif state == "idle":
                self.life.idle()
            elif state == "starting":
                self.life.starts()

    def heard(self) -> None:
        """It said something: it lives."""
        if not self.spoke:
            self.spoke = self.ever_spoke = True
            self._tell(None)

    # -- its start

    def answered(self) -> None:
        """It answered the server's own first request; the statuses around that answer may have gone unheard."""
        self.heard()
        if self.execution_state == "starting":
            self.life.idle()

    def first_word(self, patience: float) -> Deferred[Death | None]:
        """Wait until it is heard (None), has ended (its death), or ``patience`` seconds have passed (None)."""
        waiting: Deferred[Death | None] = Deferred()
        if self.spoke or patience <= 0:
            waiting.callback(None)
            return waiting
        self._first_word = waiting
        timer = self.clock.callLater(patience, self._tell, None)

        def stop(result: Any) -> Any:
            if timer.active():
                timer.cancel()
            return result

        return waiting.addBoth(stop)

    def _tell(self, death: Death | None) -> bool:
        waiting, self._first_word = self._first_word, None
        if waiting is not None:
            waiting.callback(death)
        return waiting is not None

    def died_unheard(self, death: Death) -> bool:
        """Whether somebody waits for its first word; they are told of its end in place of it."""
        return self._tell(death)

    def launched(self) -> None:
        """Its process runs."""
        self.launched_at = self.clock.seconds()
        self.running, self.spoke = True, False

    # -- the machine's body

    def enter(self, state: str) -> None:
        """The machine is in ``state``."""
        self.execution_state = state
        self.state_since = self.clock.seconds()

    def tell_death(self, death: Death, state: str) -> None:
        """Tell the clients: in the cells that ran, and by a status message, as the reference words it."""
        self.reason, self.died_at = death.reason, self.clock.seconds()
        text = death.reason + ("" if death.reason.endswith("\n") else "\n")
        for _, header in list(self.channels.executing):
            self.channels.announce("stream", {"name": "stderr", "text": text}, header)
        self.channels.lose(death.reason)
        self.channels.announce("status", {"execution_state": state})
        self.channels.disconnect()

    def forget_later(self) -> IDelayedCall:
        """It is dead: set the time after which it is forgotten."""
        return self.await_forgetting(self)

    # -- for others

    @property
    def connections(self) -> int:
        """Its open websockets."""
        return self.channels.connections

    def model(self) -> dict[str, Any]:
        """The REST model."""
        model = {
            "id": self.id,
            "name": self.process.name,
            "last_activity": isoformat(self.last_activity),
            "execution_state": self.execution_state,
            "connections": self.connections,
        }
        if self.reason:
            model["reason"] = self.reason
        return model
