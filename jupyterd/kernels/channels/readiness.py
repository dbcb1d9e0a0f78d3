"""Readiness: waits until a kernel answers and its iopub is heard.

A subscription takes its time: what a kernel says before it is heard by nobody. So it is asked for its info, on the
channel that answers first, until something comes on iopub as well; what clients say waits until then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeout

from jupyterd.errors import Gone, TimedOut

NUDGE = 0.25
"""Seconds between requests that make a kernel say something on iopub, until it is heard."""


class Readiness:
    """Waits for one kernel.

    :param ask: sends a ``kernel_info_request`` on a channel; the Deferred gets the reply; gives the request's id.
    :param unask: the replies to these requests do not matter any more.
    :param let_through: what clients said may reach the kernel from now on.
    :ivar heard: something came on iopub.
    :ivar info: the content of the kernel's ``kernel_info_reply``; None while it has not answered.
    """

    def __init__(
        self,
        clock: Any,
        ask: Callable[[str, Deferred[dict[str, Any]]], str],
        unask: Callable[[Iterable[str]], None],
        let_through: Callable[[], None],
    ) -> None:
        self.heard = False
        self._clock = clock
        self._ask, self._unask, self._let_through = ask, unask, let_through
        self.info: dict[str, Any] | None = None
        self._asked: set[str] = set()
        self._waiting: list[Deferred[dict[str, Any]]] = []
        self._timers: list[Any] = []

    def begin(self, patience: float) -> None:
        """New sockets are open. After ``patience`` seconds clients are let through in any case."""
        self._ask_until_heard()
        self._later(patience, self._let_through)

    def end(self) -> None:
        """The sockets are closed."""
        for timer in self._timers:
            if timer.active():
                timer.cancel()
        self._timers.clear()
        self._forget_asked()
        self.info = None
        self.heard = False

    def fail(self, reason: str) -> None:
        """There will be no others."""
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            waiter.errback(Gone(reason))

    def iopub_heard(self) -> None:
        """Something came on iopub."""
        self.heard = True
        self._check()

    async def wait(self, timeout: float) -> dict[str, Any]:
        """Wait for the content of the kernel's ``kernel_info_reply``, and for its iopub.

        :raises TimedOut: not within ``timeout`` seconds.
        :raises Gone: see :meth:`fail`.
        """
        if self.info is not None and self.heard:
            return self.info
        waiter: Deferred[dict[str, Any]] = Deferred()
        self._waiting.append(waiter)
        try:
            return await waiter.addTimeout(timeout, self._clock)
        except DeferredTimeout:
            raise TimedOut(f"The kernel did not answer within {timeout:g} s") from None
        finally:
            if waiter in self._waiting:
                self._waiting.remove(waiter)

    def _ask_until_heard(self) -> None:
        if self.info is not None and self.heard:
            return
        for channel in ("shell", "control"):
            waiter: Deferred[dict[str, Any]] = Deferred()
            waiter.addCallback(self._answered)
            self._asked.add(self._ask(channel, waiter))

    def _answered(self, reply: dict[str, Any]) -> None:
        self.info = reply["content"]
        if self.heard:
            self._check()
        else:
            self._forget_asked()
            self._later(NUDGE, self._ask_until_heard)

    def _check(self) -> None:
        if self.info is None or not self.heard:
            return
        waiting, self._waiting = self._waiting, []
        self._let_through()
        for waiter in waiting:
            waiter.callback(self.info)

    def _forget_asked(self) -> None:
        self._unask(self._asked)
        self._asked = set()

    def _later(self, seconds: float, do: Callable[[], None]) -> None:
        self._timers = [timer for timer in self._timers if timer.active()]
        self._timers.append(self._clock.callLater(seconds, do))
