"""Routes of the extension host: which requests are an extension's, told by one regular expression (pure).

An extension's routes come before the server's own, as in the Jupyter Server; but for those that nobody may take, and
for patterns that match everything.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

RESERVED: tuple[tuple[str, ...], ...] = (
    ("login",),
    ("logout",),
    ("api", "me"),
    ("api", "shutdown"),
    ("api", "status"),
    ("api", "extensions"),
    ("api", "security"),
    ("api", "contents"),
    ("healthz",),
    ("readyz",),
)
"""Paths, and all below them, that no extension may answer: who is let in, what the server is, and users' files."""

CONTENTS = ("api", "contents")
CONTENTS_MANAGER = "(contents)"
"""Stands for an extension's name in the routes of a contents manager that the host runs for the server."""

MAX_REMEMBERED, MAX_REMEMBERED_PATH = 256, 512
"""Paths whose route is remembered, and characters of one: to try one pattern after the other takes longer."""

_STRANGE = ("jupyterd-no-such-path", "jupyterd/no/such/path", "jupyterd/no/such/path/")
"""A pattern that matches these matches anything."""


@dataclass(frozen=True)
class Route:
    """One rule of the host's web application.

    :param pattern: a regular expression of the whole path, ``base_url`` included, as Tornado writes it.
    :param websocket: its handler opens websockets.
    :param own_xsrf: its handler has an XSRF check of its own, which may be none.
    :param api: errors are JSON, and a missing login is ``403``; else it is for people.
    :param auth: the authorizer's name of what lies there; empty where the handler has none.
    :param extension: whose it is, as far as that is known.
    """

    pattern: str
    websocket: bool = False
    own_xsrf: bool = False
    api: bool = False
    auth: str = ""
    extension: str = ""

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Route:
        """From what the host tells."""
        return cls(
            str(told["pattern"]),
            bool(told.get("websocket")),
            bool(told.get("own_xsrf")),
            bool(told.get("api")),
            str(told.get("auth") or ""),
            str(told.get("extension") or ""),
        )


class Routes:
    """All routes of the host.

    :param contents: the host answers for contents.
    :ivar refused: routes that are not followed, each with the reason.
    """

    def __init__(self, routes: Iterable[Route], base_url: str = "/", contents: bool = False) -> None:
        self._contents = contents
        self.refused: list[tuple[Route, str]] = []
        self._routes: list[tuple[re.Pattern[str], Route]] = []
        for route in routes:
            self._add(route, base_url)
        self._found: dict[str, Route] = {}
        self._any = _alternation([pattern for pattern, _ in self._routes])

    def _add(self, route: Route, base_url: str) -> None:
        try:
            pattern = re.compile(route.pattern if route.pattern.endswith("$") else route.pattern + "$")
        except (re.error, RecursionError) as error:
            self.refused.append((route, f"it is no regular expression: {error}"))
            return
        if matches_everything(pattern, base_url):
            self.refused.append((route, "it matches everything"))
        elif any(pattern.match(base_url + "/".join(path)) for path in RESERVED) and not self._of_contents(route):
            self.refused.append((route, "the server's own routes there can not be taken"))
        else:
            self._routes.append((pattern, route))

    def __len__(self) -> int:
        return len(self._routes)

    def __iter__(self) -> Any:
        return (route for _, route in self._routes)

    def find(self, path: str, segments: Sequence[str] | None) -> Route | None:
        """The route that answers a path.

        :param path: as it was sent, without the query.
        :param segments: the same decoded, below ``base_url``; None outside of it.
        """
        if self._any is None or self._any.match(path) is None:
            return None
        route = self._found.get(path)
        if route is None:
            route = next((route for pattern, route in self._routes if pattern.match(path)), None)
            if route is not None and segments is not None and is_reserved(segments) and not self._of_contents(route):
                return None
            self._remember(path, route)
        return route

    def _remember(self, path: str, route: Route | None) -> None:
        if route is not None and len(path) <= MAX_REMEMBERED_PATH:
            if len(self._found) >= MAX_REMEMBERED:
                self._found.clear()
            self._found[path] = route

    def _of_contents(self, route: Route) -> bool:
        return self._contents and route.extension == CONTENTS_MANAGER


def matches_everything(pattern: re.Pattern[str], base_url: str) -> bool:
    """The pattern would take all requests below ``base_url``."""
    return any(pattern.match(base_url + path) for path in _STRANGE)


def is_reserved(segments: Sequence[str]) -> bool:
    """Nobody may take the path."""
    return any(tuple(segments[: len(path)]) == path for path in RESERVED)


def is_of_contents(segments: Sequence[str]) -> bool:
    """The path is answered from the contents manager's files."""
    return tuple(segments[:2]) == CONTENTS or segments[:1] == ["files"]


def _alternation(patterns: list[re.Pattern[str]]) -> re.Pattern[str] | None:
    """One pattern that matches whatever one of them does: a miss costs less than a microsecond.

    Names of groups may occur in several; references to groups, and flags inside, make a pattern that can not be
    joined: then the one pattern is any path, and each is tried.
    """
    if not patterns:
        return None
    joined = "|".join(f"(?:{pattern.pattern})" for pattern in patterns)
    if re.search(r"\(\?P=|\\[1-9]|\(\?\(", joined) is None:
        try:
            return re.compile(re.sub(r"\(\?P<\w+>", "(?:", joined))
        except (re.error, RecursionError, OverflowError):
            pass
    return re.compile("")
