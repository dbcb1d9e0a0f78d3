"""Channel sockets of a gateway's kernels: each stands where a local kernel has one of ZeroMQ, all four on one link."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IReactorTime

from jupyterd.gateway.interfaces import Backoff, Dial, Place
from jupyterd.gateway.link import Link
from jupyterd.kernels.zeromq.network import Opening


class LinkNetwork:
    """Where kernels' sockets come from: links for those of the gateway, ZeroMQ for the others.

    :param others: the network of kernels that run here.
    """

    def __init__(self, clock: IReactorTime, dial: Dial, backoff: Backoff, others: Callable[[], Any]) -> None:
        self._clock = clock
        self._dial = dial
        self._backoff = backoff
        self._others = others
        self._last: tuple[bytes, Link] | None = None

    def open(self, opening: Opening) -> Any:
        """As :class:`jupyterd.kernels.zeromq.network.Network`: four sockets, one identity."""
        place = opening.info.get("place")
        if not isinstance(place, Place):
            return self._others().open(opening)
        if self._last is None or self._last[0] != opening.identity:
            self._last = (opening.identity, Link(self._clock, place, self._dial, self._backoff))
            place.listener.linked(self._last[1])
        return self._last[1].add(opening.channel, opening.received, opening.writable)
