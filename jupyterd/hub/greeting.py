"""First words with the Hub: whether it can be reached, and whether both are of an age."""

from __future__ import annotations

from collections.abc import Callable

from packaging.version import InvalidVersion, Version
from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from jupyterd.errors import JupyterdError
from jupyterd.hub.client import Hub

SPOKEN = "6.1"
"""The newest JupyterHub that this server was tried with."""
OLDEST = Version("4.1")
TRIES = 5
MAX_WAIT = 16.0


class Greeting(Service):
    """Asks the Hub for its version when the server starts.

    A Hub that does not answer ends nothing: it may be restarting, and what it asks of a server is seen at each login.

    :param known: told which version to show to the Hub, as it complains of servers of another age than its own.
    :param unknown: told that this can not be known yet.
    """

    log = Logger()

    def __init__(
        self, clock: IReactorTime, hub: Hub, known: Callable[[str], None], unknown: Callable[[], None]
    ) -> None:
        self._clock = clock
        self._hub = hub
        self._known = known
        self._unknown = unknown
        self._running: Deferred[None] | None = None

    def startService(self) -> None:
        """Begin."""
        super().startService()
        self._running = Deferred.fromCoroutine(self._greet())
        self._running.addErrback(self._ended)

    def stopService(self) -> None:
        """Stop asking."""
        super().stopService()
        running, self._running = self._running, None
        if running is not None:
            running.cancel()

    def _ended(self, failure: Failure) -> None:
        if not failure.check(CancelledError):
            self.log.failure("the Hub was not greeted", failure)

    async def _greet(self) -> None:
        for number in range(1, TRIES + 1):
            try:
                version = await self._hub.version()
            except JupyterdError as error:
                self._unknown()
                self.log.error(
                    "Failed to connect to my Hub (attempt {number}/{tries}). Is it running? {why}",
                    number=number,
                    tries=TRIES,
                    why=error.message,
                )
                await deferLater(self._clock, min(2.0**number, MAX_WAIT))
            else:
                self._compare(version)
                return

    def _compare(self, version: str) -> None:
        """Say what there is to say of the Hub's version."""
        try:
            hub = Version(version)
        except InvalidVersion:
            self.log.warn("The Hub does not tell its version: JupyterHub {oldest} or later is needed", oldest=OLDEST)
            self._known(SPOKEN)
            return
        if hub < OLDEST or hub.major > Version(SPOKEN).major:
            self.log.warn(
                "This server is for JupyterHub {oldest} to {newest}, the Hub is {hub}."
                " This could cause failure to authenticate and result in redirect loops!",
                oldest=OLDEST,
                newest=Version(SPOKEN).major,
                hub=version,
            )
            self._known(SPOKEN)
        else:
            self.log.info("The Hub is JupyterHub {hub}", hub=version)
            self._known(version)
