"""Lists of extensions that an organisation blocks or allows, fetched again now and then."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from jupyterd.system.threads import InThread

PATH = "@jupyterlab/extensionmanager-extension/listings.json"
MAX_LIST_BYTES = 16 * 1024 * 1024
"""Bytes that a list may have."""


def fetch(uri: str, options: Mapping[str, Any], most: int = MAX_LIST_BYTES) -> bytes:
    """What lies at a URI; blocks.

    :param options: ``headers`` and ``timeout`` in seconds.
    :raises OSError: it can not be had.
    """
    from urllib.request import Request, urlopen

    if not uri.startswith(("https://", "http://")):
        raise OSError(f"not an HTTP address: {uri}")
    request = Request(uri, headers=dict(options.get("headers") or {}))  # noqa: S310 - the operator's own address
    with urlopen(request, timeout=options.get("timeout") or 20) as response:  # noqa: S310
        body: bytes = response.read(most + 1)
    if len(body) > most:
        raise OSError(f"{uri} has more than {most} bytes")
    return body


@dataclass
class Listings:
    """The lists as they were when they were last fetched.

    :param refresh: seconds after which they are fetched again, once somebody asks.
    """

    reactor: IReactorTime
    in_thread: InThread
    blocked_uris: list[str] = field(default_factory=list)
    allowed_uris: list[str] = field(default_factory=list)
    refresh: float = 3600
    options: Mapping[str, Any] = field(default_factory=dict)
    fetch: Callable[[str, Mapping[str, Any]], bytes] = fetch
    log = Logger()

    def __post_init__(self) -> None:
        self._lists: dict[str, list[Any]] = {"blocked_extensions": [], "allowed_extensions": []}
        self._fetched: float | None = None

    async def get(self) -> dict[str, Any]:
        """The addresses and what was found there."""
        now = self.reactor.seconds()
        if (self.blocked_uris or self.allowed_uris) and (self._fetched is None or now - self._fetched > self.refresh):
            self._fetched = now
            await self._fetch("blocked_extensions", self.blocked_uris)
            await self._fetch("allowed_extensions", self.allowed_uris)
        return {
            "blocked_extensions_uris": self.blocked_uris,
            "allowed_extensions_uris": self.allowed_uris,
            **self._lists,
        }

    async def _fetch(self, key: str, uris: list[str]) -> None:
        found: list[Any] = []
        for uri in uris:
            try:
                body: bytes = await self.in_thread(self.fetch, uri, self.options)
                found += json.loads(body)[key]
            except (OSError, ValueError, KeyError, TypeError) as error:
                # An old list that blocks is better than none.
                self.log.error("could not fetch {uri}: {error!r}", uri=uri, error=error)
                return
        self._lists[key] = found
