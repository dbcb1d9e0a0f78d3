"""Keeping of what outlives the daemon: found again before the first client comes, kept or ended at the end."""

from __future__ import annotations

import os
import sys
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.logger import Logger

from jupyterd.errors import Failed
from jupyterd.keeper.start_keeper import unsupported
from jupyterd.state.directory import StateDirectory
from jupyterd.state.keeper_link import KeeperRefused
from jupyterd.supervision.handover.predecessor import Predecessor
from jupyterd.supervision.handover.successor import Successor
from jupyterd.supervision.handover.supervisors import takeover_refusal
from jupyterd.system.daemon_directory import local_places

if TYPE_CHECKING:
    from jupyterd.settings.server_app import ServerApp
    from jupyterd.state.surviving import Kept
    from jupyterd.supervision.listener import Listener

PAUSE, ANSWERS = 0.02, 5.0
"""Seconds between looks whether another daemon has let go, and for how long its keeper may take to see that."""

RECOVERY_TIMEOUT = 30.0
"""Seconds for which clients wait until what a former daemon left is found; then they are served without it."""

MANAGERS = ("NOTIFY_SOCKET", "SUPERVISOR_ENABLED")
"""Variables by which a service manager tells that it is there: systemd with ``Type=notify``, supervisord."""

Find = Callable[[Mapping[str, Mapping[str, Any]], Collection[str]], Awaitable[None]]


class Keeping(Service):
    """One daemon's.

    :param kept: what outlives it.
    :param finders: find things of theirs again; given the keeper's children by their names, and which it listens to.
        Called only where a former daemon has left something.
    :param is_set: the operator has said whether to keep.
    :ivar keep_at_stop: whether kernels and terminals go on when the daemon stops.
    :ivar successor: takes over from a daemon that runs; None where that is not wanted.
    :ivar found: fires when all is found, or nothing can be.
    """

    log = Logger()

    def __init__(self, reactor: Any, kept: Kept, keep_at_stop: bool, is_set: bool) -> None:
        self._reactor = reactor
        self.kept = kept
        self.keep_at_stop = keep_at_stop
        self._is_set = is_set
        self.successor: Successor | None = None
        self.finders: list[Find] = []
        self.leftovers: list[Callable[[], int]] = []
        self.found: Deferred[None] = Deferred()

    def asked_to_stop(self, kernels: str | None) -> None:
        """A client wants the server to stop.

        :param kernels: what it wants to become of them: ``end``, ``keep``, ``default``; None where it does not say, as
            a front end does not: then they end with it, unless the operator has said otherwise.
        """
        if kernels in ("end", "keep"):
            self.keep_at_stop = kernels == "keep"
        elif kernels is None and not self._is_set:
            self.keep_at_stop = False

    def startService(self) -> None:
        """Look for what a former daemon left."""
        super().startService()
        finding = Deferred.fromCoroutine(self._find())
        timer = self._reactor.callLater(RECOVERY_TIMEOUT, self._told)

        def done(result: Any) -> None:
            if timer.active():
                timer.cancel()
            self._told()

        finding.addErrback(lambda failure: self.log.failure("what a former daemon left can not be found", failure))
        finding.addCallback(done)

    def _told(self) -> None:
        if not self.found.called:
            self.found.callback(None)

    def when_found(self) -> Deferred[None]:
        """Fires when all is found."""
        done: Deferred[None] = Deferred()
        self.found.addCallback(lambda _: done.callback(None))
        return done

    async def _take_over(self, successor: Successor) -> None:
        """Tell the daemon before us to go, and wait until it has let go of all."""
        assert successor.path is not None
        successor.go()
        for _ in range(int(RECOVERY_TIMEOUT / PAUSE)):
            if self.kept.directory.take(successor.path):
                break
            await deferLater(self._reactor, PAUSE, lambda: None)
        else:
            self.log.error("the process before does not let go")

    async def _hello(self) -> Any:
        for _ in range(int(ANSWERS / PAUSE)):
            with suppress(KeeperRefused):
                return await self.kept.keeper.find()
            await deferLater(self._reactor, PAUSE, lambda: None)  # it has not seen yet that the one before is gone
        return await self.kept.keeper.find()

    async def _find(self) -> None:
        if self.successor is not None and self.successor.path is not None:
            await self._take_over(self.successor)
        if not self.kept.directory.exists():
            return
        try:
            hello = await self._hello()
        except OSError as error:
            self.log.error("the server's state can not be read: {error}", error=error)
            return
        except Failed as error:
            self.log.error("{error}", error=error.message)
            return
        told = self.kept.ended() if hello is None else hello["children"]
        children = {child["name"]: child for child in told}
        listened = set() if hello is None else {each["name"] for each in hello["listening"]}
        for find in self.finders:
            await find(children, listened)

    def stopService(self) -> Deferred[None]:
        """Leave what is kept to the next daemon, or end the keeper; after kernels and terminals."""
        super().stopService()
        return Deferred.fromCoroutine(self._end())

    async def _end(self) -> None:
        kept = self.kept
        if self.keep_at_stop and any(child.running for child in kept.keeper.children.values()):
            kept.keeper.let_go()
            kept.close(empty=False)
            self.log.info("kernels and terminals go on; the next start of this server finds them again")
            return
        left = sum(child.running for child in kept.keeper.children.values())
        await kept.keeper.end()
        kept.close(empty=not left)


def keeping(reactor: Any, server: ServerApp) -> Keeping | None:
    """From the settings; None where kernels and terminals end with the daemon."""
    from jupyterd.state.surviving import Kept

    if server.keeper is False:
        return None
    if (why := unsupported()) != "":
        server.log.info("Kernels and terminals end with this server: there is no keeper here, %s.", why)
        return None
    asked = server.sock or str(server.port)  # what the settings say: sockets of a service manager's are others
    directory = StateDirectory(server.runtime_dir, server.root_dir, asked, lambda: server.port)
    kept = Kept(reactor, directory, local_places())
    found = Keeping(reactor, kept, keeps_at_stop(server, os.environ), bool(server.kernels_at_stop))
    if server.takeover:
        found.successor = Successor(directory.candidates)
    return found


def predecessor(reactor: Any, keeping: Keeping, front: Listener) -> Predecessor:
    """What hands over to another process of the same server."""

    def leave(successor: int | None) -> None:
        keeping.keep_at_stop = True
        front.leave(successor)
        reactor.stop()

    return Predecessor(
        reactor,
        keeping.kept.keeper,
        sys.orig_argv,
        os.environ,
        sockets=front.hand_over,
        state=keeping.kept.directory.join,
        leave=leave,
        refusal=partial(takeover_refusal, os.environ),
    )


def keeps_at_stop(server: ServerApp, environment: Mapping[str, str]) -> bool:
    """Whether kernels go on when the daemon is stopped."""
    if server.kernels_at_stop:
        return bool(server.kernels_at_stop == "keep")
    return any(environment.get(name) for name in MANAGERS)
