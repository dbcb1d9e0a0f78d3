"""Signals: what the terminal, the service manager and operators tell the process."""

from __future__ import annotations

import select
import signal
import sys
from collections.abc import Callable
from typing import Any

from twisted.application.service import Service
from twisted.logger import Logger

ANSWER_SECONDS = 5.0


class Signals(Service):
    """Hears signals while the reactor runs, and gives the previous handlers back afterwards.

    What is done then is in :mod:`jupyterd.supervision.daemon` (stop, by the stages of
    :mod:`jupyterd.supervision.start_stop_stages`) and :mod:`jupyterd.app.reload`.

    - SIGTERM stops; so does SIGINT, after a question where there is a terminal. The process ends with status 0, where
      twistd's own handlers would have it die by the signal.
    - A second one while it stops makes it hurry.
    - SIGHUP reloads. SIGUSR1 says where the server is, unless twistd rotates its log by it.

    :param stop: called once, in the reactor's thread.
    :param hurry: called at a second request to stop.
    :param reload: called at SIGHUP.
    :param describe: what to say at SIGUSR1.
    :param restart: called at SIGUSR2.
    :param ask: whether a SIGINT is meant is asked for; None where it is not asked. It may block.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        *,
        stop: Callable[[], None],
        hurry: Callable[[], None],
        reload: Callable[[], None],
        describe: Callable[[], str],
        ask: Callable[[], bool] | None = None,
        restart: Callable[[], None] | None = None,
    ) -> None:
        self._restart = restart
        self._reactor = reactor
        self._stop = stop
        self._hurry = hurry
        self._reload = reload
        self._describe = describe
        self._ask = ask
        self._asking = False
        self._stopping = False
        self._before: dict[int, Any] = {}

    def startService(self) -> None:
        """Begin at once: what comes while the server starts is done when the reactor runs.

        And once more when it does, as it sets its own handlers just before.
        """
        super().startService()
        self._install()
        self._reactor.callWhenRunning(self._install)

    def _install(self) -> None:
        self._set(signal.SIGTERM, self.terminate)
        self._set(signal.SIGINT, self.interrupt)
        self._set(signal.SIGHUP, lambda: self._reload())
        if signal.getsignal(signal.SIGUSR1) == signal.SIG_DFL:
            self._set(signal.SIGUSR1, self._tell)
        if self._restart is not None:
            self._set(signal.SIGUSR2, self._restart)

    def _set(self, number: int, action: Callable[[], None]) -> None:
        if number != signal.SIGTERM and signal.getsignal(number) == signal.SIG_IGN:
            return  # nohup, or a shell's background: who started us does not want it to reach us

        def handle(*_: object) -> None:
            self._reactor.callFromThread(action)

        self._before.setdefault(number, signal.signal(number, handle))

    def restore(self) -> None:
        """Give the handlers back that were there before."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()

    def terminate(self) -> None:
        """SIGTERM, or a SIGINT that is meant."""
        if self._stopping:
            self.log.critical("asked to stop again, not waiting any longer")
            self.restore()
            self._hurry()
            return
        self._stopping = True
        self.log.critical("Shutting down...")
        self._stop()

    def interrupt(self) -> None:
        """SIGINT: from a terminal it may be a slip of the finger; a second one is not."""
        if self._ask is None or self._asking or self._stopping:
            self.terminate()
            return
        self._asking = True
        self.log.info("interrupted")
        self._tell()
        self._reactor.callInThread(self._ask_in_thread)

    def _ask_in_thread(self) -> None:
        assert self._ask is not None
        self._reactor.callFromThread(self._answered, self._ask())

    def _answered(self, yes: bool) -> None:
        self._asking = False
        if self._stopping:
            return
        if yes:
            self.terminate()
        else:
            self.log.info("resuming operation...")

    def _tell(self) -> None:
        for line in self._describe().split("\n"):
            self.log.info("{line}", line=line)


def ask_on_terminal() -> bool:
    """Ask whether to stop; no answer within some seconds is a no."""
    sys.__stderr__.write("Shut down this Jupyter server (y/[n])? ") if sys.__stderr__ else None
    sys.__stderr__.flush() if sys.__stderr__ else None
    assert sys.__stdin__ is not None
    readable, _, _ = select.select([sys.__stdin__], [], [], ANSWER_SECONDS)
    return bool(readable) and sys.__stdin__.readline().strip().lower() in ("y", "yes")


def has_terminal() -> bool:
    """Whether somebody can be asked."""
    return sys.__stdin__ is not None and not sys.__stdin__.closed and sys.__stdin__.isatty()
