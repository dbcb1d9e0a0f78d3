"""What the tests of kernels' lives start from: a manager over memory, and a clock."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from traitlets.config import Config
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from jupyterd.kernels.kernel import Kernel
from jupyterd.kernels.manager import MappingKernelManager
from jupyterd.testing.deferreds import at_once, result_of
from jupyterd.testing.kernels import MemoryChannels, MemoryLauncher, MemoryProcess


@dataclass
class Keeping:
    """A manager whose kernels are in memory.

    :ivar events: what was told to the event bus.
    """

    settings: dict[str, dict[str, Any]] = field(default_factory=dict)
    names: tuple[str, ...] = ("python3", "other")
    external_dir: str | None = None

    def __post_init__(self) -> None:
        self.clock = Clock()
        self.clock.advance(1_700_000_000)
        self.launcher = MemoryLauncher(self.names)
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.kernels = MappingKernelManager(config=Config(self.settings))
        self.kernels.serve(
            launcher=self.launcher,
            channels=MemoryChannels,  # type: ignore[arg-type]
            clock=self.clock,
            in_thread=at_once,
            emit=lambda schema_id, data: self.events.append((schema_id.split("/")[-2], data)),
            external_dir=self.external_dir,
        )

    def starting(self, name: str | None = None, **kwargs: Any) -> Deferred[Kernel]:
        """A kernel of which nothing has been heard."""
        return Deferred.fromCoroutine(self.kernels.start(name, **kwargs))

    def start(self, name: str | None = None, **kwargs: Any) -> Kernel:
        """A kernel that is idle."""
        known = {kernel.id for kernel in self.kernels}
        started = self.starting(name, **kwargs)
        for kernel in self.kernels:
            if kernel.id not in known:
                kernel.status("starting", "")
                kernel.status("idle", "kernel_info_request")
        return result_of(started)

    def do(self, coroutine: Any) -> Any:
        """The result of a call that needs no time."""
        return result_of(Deferred.fromCoroutine(coroutine))

    @property
    def process(self) -> MemoryProcess:
        """The kernel that was started last."""
        return self.launcher.processes[-1]

    def channels(self, kernel: Kernel) -> MemoryChannels:
        """Its channels."""
        return kernel.channels  # type: ignore[return-value]
