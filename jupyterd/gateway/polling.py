"""Polling of the gateway's kernels: it may end one, or come back itself, without a word."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from jupyterd.errors import JupyterdError, NotFound, TimedOut, Unavailable, Upstream
from jupyterd.gateway.client import Gateway, Unusable
from jupyterd.gateway.launcher import GatewayLauncher
from jupyterd.system.periodic import Periodic


class GatewayPolling(Periodic):
    """Asks every ``poll_interval`` seconds, while a kernel of ours is there.

    :param close: closes the connections to the gateway in the end.
    """

    log = Logger()

    def __init__(self, clock: IReactorTime, gateway: Gateway, launcher: GatewayLauncher, close: Any) -> None:
        super().__init__(clock)
        self._gateway = gateway
        self._launcher = launcher
        self._close = close
        self._reached = True
        self._asking: Deferred[None] | None = None

    def interval(self) -> float:
        """``poll_interval`` of the gateway's settings."""
        return float(self._gateway.settings.poll_interval)

    def stopService(self) -> Deferred[Any]:
        """Ask no more."""
        super().stopService()
        if self._asking is not None:
            self._asking.cancel()
        return maybeDeferred(self._close)

    def turn(self) -> Deferred[None]:
        """Ask once."""
        self._asking = Deferred.fromCoroutine(self.look())
        return self._asking.addErrback(
            lambda failure: self.log.failure("the gateway's kernels can not be read", failure)
        )

    async def look(self) -> None:
        """Compare what the gateway has with what it should have."""
        launcher = self._launcher
        expected = dict(launcher.running)
        if not expected and not launcher.unfinished:
            return
        try:
            found = await self._listed()
        except (Unavailable, TimedOut, Upstream, NotFound) as error:
            if self._reached:
                self.log.warn("{why}", why=error.message)
            self._reached = False
            return
        self._reached = True
        await self._finish(found)
        for kernel_id, process in expected.items():
            if kernel_id in found:
                process.reachable()
            else:
                await process.check()

    async def _listed(self) -> set[str]:
        answer = await self._gateway.ask("GET", self._gateway.settings.kernels_endpoint)
        models = answer.json()
        if not isinstance(models, list):
            raise Unusable("The gateway's answer is no list of kernels: is GatewayClient.url right?")
        return {model["id"] for model in models if isinstance(model, dict) and isinstance(model.get("id"), str)}

    async def _finish(self, found: set[str]) -> None:
        """End the kernels that could not be ended before."""
        unfinished, self._launcher.unfinished = self._launcher.unfinished, set()
        for kernel_id in unfinished & found:
            with suppress(Upstream):  # it is gone, or is not ours to end: no further try would change that
                try:
                    await self._gateway.ask("DELETE", self._gateway.settings.kernels_endpoint, kernel_id)
                except JupyterdError as error:
                    if not isinstance(error, Upstream):
                        self._launcher.unfinished.add(kernel_id)
