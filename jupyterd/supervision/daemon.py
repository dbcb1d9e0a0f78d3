"""Daemon: the outermost service, logs, limits, signals, and an end that comes in any case."""

from __future__ import annotations

import atexit
import gc
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from twisted.application.service import MultiService
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import ReactorNotRunning
from twisted.logger import ILogObserver, Logger

from jupyterd import log as logs
from jupyterd.supervision.open_files_limit import raise_open_files
from jupyterd.supervision.server_settings import Server
from jupyterd.supervision.signals import Signals, ask_on_terminal, has_terminal
from jupyterd.supervision.sockets import CannotListen
from jupyterd.supervision.systemd_notify import Notify, Watchdog, keep_from_children, watchdog_seconds

STOP_SECONDS = 30.0
"""How long all services together may take to stop; kernels have their own, shorter time."""

LEAVE_SECONDS = 1.0
"""How long twistd gets to tidy up (its pid file) when something is not waited for any longer."""

EXIT_SECONDS = 10.0
"""How long the process may take to end when all services have stopped: libraries' threads could keep it for ever."""


def leave(status: int, seconds: float) -> None:
    """End the process in some seconds, whatever still runs; it may end by itself before, with the same status."""
    if status:
        atexit.register(os._exit, status)

    def end() -> None:
        time.sleep(seconds)
        os._exit(status)

    try:
        threading.Thread(target=end, name="leaving", daemon=True).start()
    except (RuntimeError, MemoryError):  # the system gives no thread: then by a signal, which takes none
        signal.signal(signal.SIGALRM, lambda *_: os._exit(status))
        signal.setitimer(signal.ITIMER_REAL, seconds)


class Daemon(MultiService):
    """Holds all other services.

    :param server: the settings.
    :param make_observer: makes the log observer that leaves out what was not asked for.
    :param reload: called at SIGHUP.
    :param leave: called with an exit status and the seconds after which the process has to be gone.
    :param restart: called at SIGUSR2; None where there is no such thing.
    :param silent: gives the names of thread pools that do not answer.
    :param give_up: called with one line where the server can not listen; does not return, or the error is raised.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        server: Server,
        *,
        make_observer: Callable[[], ILogObserver],
        reload: Callable[[], None] = lambda: None,
        leave: Callable[[int, float], None] = leave,
        give_up: Callable[[str], None] = lambda _: None,
        restart: Callable[[], None] | None = None,
        silent: Callable[[], Sequence[str]] = tuple,
    ) -> None:
        super().__init__()
        self._reactor = reactor
        self._server = server
        self._make_observer = make_observer
        self._give_up = give_up
        self._leave = leave
        self._reload_settings = reload
        self._notify = Notify.from_environment()
        self._hurry: Deferred[None] = Deferred()
        self._signals = Signals(
            reactor,
            stop=self._stop,
            hurry=self._hurry_up,
            reload=self._reload,
            describe=server.running_server_info,
            restart=restart,
            ask=ask_on_terminal if has_terminal() and not server.answer_yes else None,
        )
        self._signals.setServiceParent(self)
        Watchdog(reactor, self._notify.say, watchdog_seconds(os.environ), silent).setServiceParent(self)

    def setServiceParent(self, parent: Any) -> None:
        """Twistd takes the log observer from the application, unless ``--logger`` names another."""
        if hasattr(parent, "setComponent") and parent.getComponent(ILogObserver, None) is None:
            parent.setComponent(ILogObserver, self._make_observer())
        super().setServiceParent(parent)

    def privilegedStartService(self) -> None:
        """Set what the process needs, and open the sockets.

        :raises CannotListen: there is nothing to listen on.
        """
        level = self._server.log_level
        logs.bridge(level if isinstance(level, int) else logging.getLevelName(level), "ServerApp")
        if changed := raise_open_files(self._server.min_open_files_limit):
            self.log.debug("limit of open files raised from {was} to {now}", was=changed[0], now=changed[1])
        try:
            super().privilegedStartService()
        except CannotListen as error:
            self.log.critical("{error}", error=error)
            self._give_up(str(error))
            raise
        keep_from_children(os.environ)

    def startService(self) -> None:
        """Start all services, and freeze the garbage collector's view of what the start has made (``gc.freeze``)."""
        super().startService()
        gc.freeze()

    def stopService(self) -> Deferred[None]:
        """Stop all services; the Deferred fires when they have, or when there is no more time."""
        done: Deferred[None] = Deferred()
        stopped = maybeDeferred(super().stopService)
        timer = self._reactor.callLater(STOP_SECONDS, self._too_late)

        def finish(_: object) -> None:
            if timer.active():
                timer.cancel()
            if not done.called:
                self._leave(0, EXIT_SECONDS)
                done.callback(None)

        stopped.addErrback(lambda failure: self.log.failure("not everything stopped cleanly", failure=failure))
        stopped.addCallback(finish)
        self._hurry.addCallback(finish)
        return done

    def _reload(self) -> None:
        self._notify.reloading()
        self._reload_settings()
        self._notify.ready()

    def _too_late(self) -> None:
        self.log.critical("not everything stopped within {seconds} seconds", seconds=STOP_SECONDS)
        self._hurry_up(status=1)

    def _hurry_up(self, status: int = 0) -> None:
        if not self._hurry.called:
            self._leave(status, LEAVE_SECONDS)
            self._hurry.callback(None)

    def _stop(self) -> None:
        with suppress(ReactorNotRunning):  # it stops already
            self._reactor.stop()
