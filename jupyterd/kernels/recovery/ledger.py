"""Ledger of kernels in the state file: written down when they start, for the next daemon (see ``adoption``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from jupyterd.state.store import Process

if TYPE_CHECKING:
    from jupyterd.kernels.kernel import Kernel
    from jupyterd.state.kept_child import KeptChild
    from jupyterd.state.surviving import Kept
    from jupyterd.system.threads import InThread


class KernelLedger:
    """Ledger of one daemon.

    :param in_thread: one thread, so that writes stay in order.
    """

    log = Logger()

    def __init__(self, kept: Kept, in_thread: InThread) -> None:
        self._kept, self._in_thread = kept, in_thread

    def remember(self, kernel: Kernel) -> None:
        """It runs, or has died: write it down in a moment."""
        process: Any = kernel.process
        record = getattr(process, "record", None)
        if record is None:
            return
        child: KeptChild | None = process.child
        pid, started = (child.pid, child.started) if child is not None else (None, None)
        row = Process(kernel.id, {**record, "reason": kernel.reason}, pid, started, self._kept.boot)
        self._in_thread(lambda: self._kept.store.put_kernel(row)).addErrback(self._not_written)

    def forget(self, kernel_id: str) -> None:
        """It is shut down."""
        self._kept.keeper.say("deafen", name=kernel_id)
        self._in_thread(lambda: self._kept.store.remove_kernel(kernel_id)).addErrback(self._not_written)

    def settled(self) -> Deferred[None]:
        """Fires when all is written that was to be."""
        return self._in_thread(lambda: None)

    def is_kept(self, kernel: Kernel) -> bool:
        """Whether the next daemon will find it: it runs, and its provisioner can be told of it."""
        record = getattr(kernel.process, "record", None)
        return kernel.running and record is not None and (kernel.process.kept or bool(record["provisioner"]))  # type: ignore[attr-defined]

    def _not_written(self, failure: Any) -> None:
        self.log.failure("a kernel can not be written down", failure)
