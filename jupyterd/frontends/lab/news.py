"""JupyterLab's news and its search for updates: the only places where the server itself goes out to the network.

Both happen only when a page asks, and not at all where the operator has switched them off.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from xml.etree import ElementTree

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from jupyterd.frontends.lab.listings import fetch
from jupyterd.system.threads import InThread

RELEASE_NOTES = "https://github.com/jupyterlab/jupyterlab/releases/tag/v"
ATOM = {"atom": "http://www.w3.org/2005/Atom"}
TIMEOUT = 20
MAX_FEED_BYTES = 4 * 1024 * 1024
KEPT = 3600
"""Seconds for which an answer is kept: each page that is opened asks."""


@dataclass
class News:
    """What the page's announcements ask for.

    :param feed: an Atom feed; None for no news.
    :param releases: JSON that names the newest version in ``info.version``; None not to look for one.
    :param version: of the JupyterLab that is served.
    """

    clock: IReactorTime
    in_thread: InThread
    feed: str | None
    releases: str | None
    version: str
    fetch: Callable[..., bytes] = fetch
    log = Logger()

    def __post_init__(self) -> None:
        self._answers: dict[str, tuple[float, Any]] = {}

    async def news(self) -> list[dict[str, Any]]:
        """The feed's entries; none where it can not be had."""
        if self.feed is None:
            return []
        try:
            return [notice(entry) for entry in _entries(await self._get(self.feed))]
        except (OSError, ValueError, KeyError, ElementTree.ParseError) as error:
            self.log.debug("no news from {feed}: {error!r}", feed=self.feed, error=error)
            return []

    async def update(self) -> dict[str, Any] | None:
        """A notice of a newer version, if there is one."""
        if self.releases is None:
            return None
        from packaging.version import InvalidVersion, Version

        try:
            latest = json.loads(await self._get(self.releases))["info"]["version"]
            newer = Version(latest) > Version(self.version)
        except (OSError, ValueError, KeyError, TypeError, InvalidVersion) as error:
            self.log.debug("could not look for updates: {error!r}", error=error)
            return None
        return _of_version(latest) if newer else None

    async def _get(self, uri: str) -> bytes:
        """What lies at ``uri``, at most an hour old; a failure is remembered as long."""
        now = self.clock.seconds()
        fetched, answer = self._answers.get(uri, (0.0, None))
        if answer is None or now - fetched > KEPT:
            answer = DeferredList(
                [self.in_thread(self.fetch, uri, {"timeout": TIMEOUT}, MAX_FEED_BYTES)], consumeErrors=True
            )
            self._answers[uri] = (now, answer)
        waiting: Deferred[Any] = Deferred()
        answer.addCallback(_passed_on, waiting)
        ((fine, body),) = await waiting
        if not fine:
            raise OSError(str(body.value))
        return body  # type: ignore[no-any-return]


def releases_of(package: str) -> str | None:
    """Where the JupyterLab in the directory ``package`` says that its releases are listed; None where it does not.

    Its module is read, not imported: that would load a web server.
    """
    try:
        with open(os.path.join(package, "handlers", "announcements.py"), encoding="utf-8") as file:
            found = re.search(r"""^JUPYTERLAB_LAST_RELEASE_URL\s*=\s*["'](https://[^"']+)["']""", file.read(), re.M)
    except OSError:
        return None
    return found.group(1) if found else None


def _passed_on(result: Any, waiting: Deferred[Any]) -> Any:
    """Several pages wait for one answer."""
    waiting.callback(result)
    return result


def _of_version(version: str) -> dict[str, Any]:
    message = f"A newer version ({version}) of JupyterLab is available."
    now = time.time() * 1000
    # The page remembers by this id what the user has put away.
    identity = hashlib.sha1(message.encode(), usedforsecurity=False).hexdigest()
    return {
        "createdAt": now,
        "message": message,
        "modifiedAt": now,
        "type": "info",
        "link": ["Read more…", RELEASE_NOTES + version],
        "options": {"data": {"id": identity, "tags": ["update"]}},
    }


def _entries(feed: bytes) -> list[ElementTree.Element]:
    return ElementTree.fromstring(feed).findall("atom:entry", ATOM)  # noqa: S314 - expat expands no external entities


def notice(entry: ElementTree.Element) -> dict[str, Any]:
    """An Atom entry as the page shows it.

    :raises KeyError: the entry lacks what RFC 4287 demands.
    :raises ValueError: a date can not be read.
    """
    title, updated = _text(entry, "title"), _text(entry, "updated")
    summary = entry.findtext("atom:summary", "", ATOM)
    links = entry.findall("atom:link", ATOM)
    link = next((each for each in links if each.get("rel") == "alternate"), links[0] if links else None)
    return {
        "createdAt": _milliseconds(entry.findtext("atom:published", "", ATOM) or updated),
        "message": f"{title}\n{summary}" if summary else title,
        "modifiedAt": _milliseconds(updated),
        "type": "info",
        "link": None if link is None else ["Open full post", link.get("href")],
        "options": {"data": {"id": _text(entry, "id"), "tags": ["news"]}},
    }


def _text(entry: ElementTree.Element, name: str) -> str:
    text = entry.findtext(f"atom:{name}", None, ATOM)
    if text is None:
        raise KeyError(name)
    return text


def _milliseconds(when: str) -> float:
    return datetime.fromisoformat(when.replace("Z", "+00:00")).timestamp() * 1000
