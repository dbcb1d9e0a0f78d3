"""Supervisor of the extension host: it is started, watched, started again, stopped; no HTTP."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from jupyterd.errors import Unavailable
from jupyterd.events.progress import Task
from jupyterd.extensions.host_failures import HostFailures
from jupyterd.extensions.host_process import FROM_HOST, TO_HOST, HostProcess
from jupyterd.extensions.host_report import Report
from jupyterd.extensions.kernel_mirror import Kernel, Mirror
from jupyterd.extensions.routes import Route, Routes
from jupyterd.system.child_process import BOOT
from jupyterd.system.daemon_directory import DaemonDirectory
from jupyterd.system.processes.marked import MARK, kill_marked
from jupyterd.system.processes.resident import resident
from jupyterd.system.threads import InThread

MODULE = "jupyterd.extension_host"
STOP_SECONDS = 5.0
"""How long extensions may take to stop, before all that the host has started is killed."""
MEMORY_SECONDS = 5.0
"""How often its memory is looked at, where there is a limit."""


@dataclass(frozen=True)
class HostSettings:
    """How the host is run.

    :param argv: the server's command line; the host reads the same files with it.
    :param directory: where that was given.
    :param start_timeout: seconds that it may take to begin, and for each step of an extension: import, link, load.
    :param wait: seconds for which a request waits for it.
    :param memory_limit: bytes of resident memory, at which it is started anew; 0 for no limit.
    :param contents: the contents manager that the host answers for contents with; empty where the daemon does.
    :param stall_timeout: seconds for which an extension may block its loop, before it is started anew; 0 for ever.
    """

    argv: tuple[str, ...] = ()
    directory: str = "."
    base_url: str = "/"
    start_timeout: float = 120.0
    wait: float = 60.0
    memory_limit: int = 0
    stall_timeout: float = 300.0
    contents: str = ""


class ExtensionHost(Service):
    """Runs the host, and knows its routes.

    :param wanted: the extensions that it loads.
    :param again: reads the configuration again, and tells which it loads then.
    :param directory: where its sockets are.
    :param setup: what each run is told beyond the key and the sockets: token, port, root directory ...
    :param kernels: all kernels, now.
    :param heard: takes what the host tells that is not about itself (events, schemas, a wish to stop).
    :param begin: tells of a start while it takes.
    :ivar failures: what went wrong.
    :ivar loading: the extension that is just being loaded.
    :param listen: opens the private socket that the host asks the daemon on; called once.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        settings: HostSettings,
        *,
        wanted: Iterable[str],
        again: Callable[[], Iterable[str]],
        directory: DaemonDirectory,
        setup: Callable[[], Mapping[str, Any]],
        kernels: Callable[[], Iterable[Kernel]],
        heard: Callable[[dict[str, Any]], None],
        listen: Callable[[str], Any],
        in_thread: InThread,
        begin: Callable[[], Task | None] = lambda: None,
    ) -> None:
        self.reactor = reactor
        self._begin = begin
        self._task: Task | None = None
        self.settings = settings
        self.wanted = tuple(wanted)
        self._again = again
        self.key = secrets.token_bytes(32)
        self.mirror = Mirror(kernels, self._send)
        self.routes = Routes((), settings.base_url)
        self.report = Report()
        self.state = "stopped"
        self.failures = HostFailures(reactor)
        self.last_activity = 0.0
        self._directory = directory
        self._setup = setup
        self._heard = heard
        self._listen = listen
        self._in_thread = in_thread
        self._process: HostProcess | None = None
        self._mark = ""
        self._port: Any = None
        self.loading = ""
        self._timer: Any = None
        self._memory_timer: Any = None
        self._since = 0.0
        self._ready: Deferred[None] = Deferred()
        self._stopped: Deferred[None] | None = None
        self.changed: list[Callable[[], None]] = []

    # -- for who asks

    @property
    def socket(self) -> str:
        """Where the host listens."""
        return self._directory.join("host.sock")

    @property
    def api_socket(self) -> str:
        """Where the daemon listens for the host."""
        return self._directory.join("daemon.sock")

    @property
    def pid(self) -> int | None:
        """The number of its process."""
        return None if self._process is None else self._process.pid

    @property
    def is_ready(self) -> bool:
        """It answers."""
        return self.state == "ready"

    @property
    def is_expected(self) -> bool:
        """It will answer soon: who asks may wait."""
        return self.state in ("starting", "restarting") or (self.state == "waiting" and self.failures.in_a_row <= 1)

    def ready(self) -> Deferred[None]:
        """Wait until it answers, as long as the settings allow.

        :raises Unavailable: it does not, by then.
        """
        done: Deferred[None] = Deferred()
        if self.is_ready:
            done.callback(None)
            return done
        if not self.is_expected:
            done.errback(self.unavailable())
            return done
        waiting = self._ready

        def arrived(_: Any) -> None:
            if not done.called:
                done.callback(None) if self.is_ready else done.errback(self.unavailable())

        def late() -> None:
            if not done.called:
                done.errback(self.unavailable())

        timer = self.reactor.callLater(self.settings.wait, late)
        waiting.addBoth(arrived)
        return done.addBoth(lambda result: (timer.active() and timer.cancel(), result)[1])

    def unavailable(self) -> Unavailable:
        """Why it does not answer, for a client."""
        if self.state == "starting":
            what = f"it is loading {self.loading}" if self.loading else "it is starting"
        elif self.state == "restarting":
            what = "it is started anew"
        elif self.state == "waiting":
            history = self.failures.history
            what = f"{history[-1]['what']}; it is started again in a moment" if history else "it has ended"
        else:
            what = "it does not run"
        return Unavailable(f"The server extensions do not answer: {what}")

    # -- its life

    def startService(self) -> None:
        """Start the host; the daemon does not wait for it."""
        super().startService()
        self._port = self._listen(self.api_socket)
        self._start()

    def stopService(self) -> Deferred[None]:
        """Stop the host and all that it has started; the Deferred fires when it is gone."""
        super().stopService()
        self._stopped = Deferred()
        stopped = self._stopped
        self._cancel()
        process = self._process
        if process is None:
            self._gone()
        else:
            self._end(process, "stopping")
        return stopped

    def _end(self, process: HostProcess, state: str) -> None:
        """Ask a process to end, and kill it if it does not; what it says of itself meanwhile changes nothing."""
        self.state = state
        process.terminate()
        self._timer = self.reactor.callLater(STOP_SECONDS, process.kill)

    def restart(self, forgiving: bool = True) -> None:
        """Start the host anew, with the configuration as it is now.

        :param forgiving: extensions that were left out for what they did get another chance.
        """
        if forgiving:
            self.failures.forgive()
        self.wanted = tuple(self._again())
        self.failures.in_a_row = 0
        self._cancel()
        if self._process is None:
            self._start()
        else:
            self._end(self._process, "restarting")

    def reload(self) -> None:
        """Start the host anew if other extensions are enabled than those that it runs."""
        if self.running and set(self._again()) != set(self.wanted):
            self.restart()

    def _start(self) -> None:
        self._cancel()
        self.state, self.loading = "starting", ""
        self._since = self.reactor.seconds()
        self._task = self._begin()
        self._mark = secrets.token_hex(8)
        self.mirror.forget()
        with suppress(FileNotFoundError):
            os.unlink(self.socket)
        wanted = [name for name in self.wanted if name not in self.failures.excluded]
        setup = {
            "key": self.key.hex(),
            "socket": self.socket,
            "api": self.api_socket,
            "argv": list(self.settings.argv),
            "daemon": os.getpid(),
            "wanted": wanted,
            "update": self.mirror.number,  # what was told to others, or to nobody, it need not wait for
            **self._setup(),
        }
        run: list[HostProcess] = []
        process = HostProcess(
            self.reactor, setup, lambda message: self._take(run[0], message), lambda why: self._ended(run[0], why)
        )
        run.append(process)
        self._process = process
        nothing = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self.reactor.spawnProcess(
                process,
                sys.executable,
                [sys.executable, "-c", BOOT, MODULE],
                env={**os.environ, MARK: self._mark},
                path=self.settings.directory,
                childFDs={0: nothing, 1: "r", 2: "r", TO_HOST: "w", FROM_HOST: "r"},
            )
        finally:
            os.close(nothing)
        self.mirror.refresh()
        self._give_time()

    def _give_time(self) -> None:
        """Let the step that begins take as long as the settings allow; slow ones before it cost it nothing."""
        self._cancel()
        self._timer = self.reactor.callLater(self.settings.start_timeout, self._overdue)

    def _overdue(self) -> None:
        if self._process is not None:
            seconds = self.settings.start_timeout
            what = f"it has not loaded {self.loading}" if self.loading else "it has not started"
            self._process.break_off(f"{what} within {seconds:g} seconds")

    def _ended(self, process: HostProcess, why: str) -> None:
        """Its process is gone."""
        if process is not self._process:
            return
        self._process = None
        self._started(failed=True)
        self._cancel()
        mark = self._mark
        self._in_thread(kill_marked, mark)  # what has left its group
        if self._stopped is not None:
            self._gone()
            return
        if self.state == "restarting":
            self._start()
            return
        self.failures.remember(why)
        if self.state == "starting" and self.loading and self.failures.blame(self.loading, why):
            self.log.error("the server extension {name} is left out: {why}", name=self.loading, why=why)
        seconds = self.failures.delay(self.reactor.seconds() - self._since if self.state == "ready" else 0.0)
        self.state = "waiting"
        self.log.error(
            "the extension host is gone: {why}; it is started again in {seconds:g} seconds", why=why, seconds=seconds
        )
        self._answer_waiting()
        self._timer = self.reactor.callLater(seconds, self._start)

    def _gone(self) -> None:
        self.state = "stopped"
        self._answer_waiting()
        port, self._port = self._port, None
        if port is not None:
            port.stopListening()
        self._directory.close()
        stopped, self._stopped = self._stopped, None
        if stopped is not None:
            stopped.callback(None)

    def _started(self, failed: bool = False) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.end(failed)

    def _cancel(self) -> None:
        for timer in (self._timer, self._memory_timer):
            if timer is not None and timer.active():
                timer.cancel()
        self._timer = self._memory_timer = None

    # -- what it says

    def _send(self, message: Mapping[str, Any]) -> None:
        if self._process is not None:
            self._process.send(message)

    def _take(self, process: HostProcess, message: dict[str, Any]) -> None:
        if process is not self._process:
            return
        does = {
            "loading": self._is_loading,
            "failed": self._extension_failed,
            "ready": self._is_ready,
            "routes": self._has_routes,
            "stalled": self._is_stalled,
            "activity": self._was_active,
        }.get(str(message.get("do")))
        try:
            if does is not None:
                does(message)
            else:
                self._heard(message)
        except (KeyError, TypeError, ValueError) as error:
            self.log.warn("the extension host said something odd: {error}", error=repr(error))

    def _is_loading(self, message: dict[str, Any]) -> None:
        self.loading = str(message["extension"])
        if self.state == "starting":
            self._give_time()

    def _extension_failed(self, message: dict[str, Any]) -> None:
        name, error = str(message["extension"]), str(message["error"])
        self.report.failed(name, error)
        self.log.error("the server extension {name} does not work: {error}", name=name, error=error)

    def _is_ready(self, message: dict[str, Any]) -> None:
        if self.state != "starting":
            return  # it is to end, and has not read that yet
        self.report = self.report.renewed(message)
        self._has_routes(message)
        self._cancel()
        self.state, self.loading = "ready", ""
        self._started()
        seconds = self.reactor.seconds() - self._since
        self._since = self.reactor.seconds()
        working = [name for name, each in self.report.extensions.items() if not each.error]
        self.log.info(
            "server extensions are loaded after {seconds:.1f} seconds: {names}",
            seconds=seconds,
            names=", ".join(sorted(working)) or "none",
        )
        if self.settings.memory_limit > 0:
            self._memory_timer = self.reactor.callLater(MEMORY_SECONDS, self._look_at_memory)
        self._answer_waiting()
        for tell in self.changed:
            tell()

    def _has_routes(self, message: dict[str, Any]) -> None:
        routes = map(Route.of, message["routes"])
        self.routes = Routes(routes, self.settings.base_url, bool(self.settings.contents))
        for route, why in self.routes.refused:
            self.log.warn(
                "the route {pattern} of {name} is not followed: {why}",
                pattern=route.pattern,
                name=route.extension or "an extension",
                why=why,
            )
        self.report.count_routes(route.extension for route in self.routes)

    def _is_stalled(self, message: dict[str, Any]) -> None:
        name, seconds = str(message.get("extension") or "an extension"), float(message["seconds"])
        self.failures.remember(f"{name} blocked the extension host for {seconds:.0f} seconds")
        self.log.warn(
            "the server extension {name} has blocked the extension host for {seconds:.0f} seconds:\n{stack}",
            name=name,
            seconds=seconds,
            stack=str(message.get("stack", ""))[:16384],
        )
        limit = self.settings.stall_timeout
        if limit and seconds >= limit and self._process is not None and self.state == "ready":
            self._process.break_off(f"{name} blocked it for {seconds:.0f} seconds")

    def _was_active(self, message: dict[str, Any]) -> None:
        self.last_activity = max(self.last_activity, float(message["time"]))

    def _answer_waiting(self) -> None:
        waiting, self._ready = self._ready, Deferred()
        waiting.callback(None)

    # -- its memory

    def _look_at_memory(self) -> None:
        self._memory_timer = self.reactor.callLater(MEMORY_SECONDS, self._look_at_memory)
        used, limit = resident(self.pid), self.settings.memory_limit
        if used > limit and self._process is not None:
            self._process.break_off(f"it has {used} bytes of memory, and extension_host_memory_limit is {limit}")
