"""Log scrubbing: one observer stands in front of all others and takes tokens, cookies and passwords out.

Control characters, which a path or a header may hold, become visible escapes.

It changes the event itself, so that lines, JSON and tracebacks are all written without them, whichever sinks there are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from twisted.python.failure import Failure
from zope.interface import implementer

SECRET = "[secret]"  # noqa: S105 - what stands in place of one
SHORTEST_SECRET = 4  # characters; a shorter one would turn half of the log into "[secret]"
SHOWS_SECRET = "shows_secret"  # noqa: S105
"""The key of an event that is meant to show a secret: the address with the token, printed once, at the start."""

_PARAMETERS = ("token", "auth", "key", "code", "state", "xsrf", "password", "secret")
_OUR_OWN = {
    "log_logger",
    "log_level",
    "log_namespace",
    "log_source",
    "log_time",
    "log_system",
    "log_trace",
    "isError",
    "time",
}
_PLAIN = (int, float, bool, type(None))
_MOST_NESTED = 4
_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}
"""What could move a terminal's cursor, or its user: shown as an escape."""

# Strangers choose the paths that are logged. So each pattern takes a time that grows with the text's length alone: what
# a name must hold is looked for ahead, once, and no two runs of the same characters stand side by side.
_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    # a header, as a line or as an entry of a dict: Authorization: token x, b'cookie': [b'x; y']
    (
        re.compile(
            r"""(?i)\b((?:proxy-)?authorization|(?:set-)?cookie|x-xsrftoken|x-csrftoken)(b?['"]?\s*[:=,]\s*(?:[\[(]\s*)?)"""
            r"""(b?"[^"]*"|b?'[^']*'|[^\r\n]+)"""
        ),
        rf"\1\2{SECRET}",
    ),
    # an entry of a dict or of JSON: "token": "x", 'hashed_password': b'x'
    (
        re.compile(
            r"""(?i)(['"](?=[\w-]*(?:token|passw(?:or)?d|secret|xsrf))[\w-]+['"]\s*[:=,]\s*(?:[\[(]\s*)?)"""
            r"""(b?"[^"]*"|b?'[^']*')"""
        ),
        rf"\1{SECRET}",
    ),
    # Bearer and token where the header's name is missing
    (re.compile(r"(?i)\b(bearer|token) ([A-Za-z0-9._~+/-]{16,}=*)"), rf"\1 {SECRET}"),
    # a signed cookie, an XSRF token
    (re.compile(r"2\|\d+:\d+\|10:\d+\|\d+:[^|\s]+\|[^|\s]*\|[0-9a-f]{64}"), SECRET),
    (re.compile(r"\b2\|[0-9a-f]{8}\|[0-9a-f]{32}\|\d{10}\b"), SECRET),
    # a hashed password
    (re.compile(r"argon2:\$argon2[^\s'\"]+"), SECRET),
)


def _of_parameters(names: Iterable[str]) -> re.Pattern[str]:
    alternatives = "|".join(re.escape(name) for name in names)
    of_name = r"[^=&;\s'\"?%]*"
    return re.compile(
        rf"(?i)((?:[?&;]|%3f|%26|\b_?(?=xsrf=|token=|password=))(?={of_name}(?:{alternatives})){of_name}(?:=|%3d))"
        r"(?:(?!%26|%23)[^&;\s'\"#\\])+"
    )


@implementer(ILogObserver)
class Scrubber:
    """Takes secrets out of each event.

    :param known: gives the secrets themselves, such as the server's token: they are found wherever they stand.
    :param parameters: more names of query parameters (``ServerApp.extra_log_scrub_param_keys``).
    """

    def __init__(self, known: Callable[[], Iterable[str]] = tuple, parameters: Iterable[str] = ()) -> None:
        self._known = known
        self._query = _of_parameters([*_PARAMETERS, *parameters])

    def __call__(self, event: LogEvent) -> None:
        """Scrub one event, in place."""
        if event.get(SHOWS_SECRET):
            return
        for name, value in list(event.items()):
            if name not in _OUR_OWN and not isinstance(value, _PLAIN):
                scrubbed = self._value(value, 0)
                if scrubbed is not value:
                    event[name] = scrubbed

    def text(self, text: str) -> str:
        """``text`` without secrets."""
        for secret in self._known():
            if len(secret) >= SHORTEST_SECRET and secret in text:
                text = text.replace(secret, SECRET)
        if "=" in text or "%3" in text:
            text = self._query.sub(rf"\1{SECRET}", text)
        for pattern, replacement in _PATTERNS:
            text = pattern.sub(replacement, text)
        return text if text.isprintable() else text.translate(_CONTROLS)

    def _value(self, value: Any, depth: int) -> Any:
        """``value`` itself where there is nothing to take out, else what to log in its place."""
        if isinstance(value, _PLAIN):
            return value
        if isinstance(value, str):
            text = self.text(value)
            return value if text == value else text
        if isinstance(value, (bytes, bytearray)):
            plain = value.decode("utf-8", "replace")
            text = self.text(plain)
            return value if text == plain else text.encode()
        if isinstance(value, Failure):
            return self._failure(value)
        if isinstance(value, (list, tuple, set, frozenset)) and type(value) in (list, tuple, set, frozenset):
            return self._items(value, depth)
        if isinstance(value, Mapping):
            return self._mapping(value, depth)
        return self._shown(value)

    def _items(self, value: Any, depth: int) -> Any:
        if depth >= _MOST_NESTED:
            return self._shown(value)
        items = [self._value(item, depth + 1) for item in value]
        same = all(new is old for new, old in zip(items, value, strict=True))
        return value if same else type(value)(items)

    def _mapping(self, value: Mapping[Any, Any], depth: int) -> Any:
        if depth >= _MOST_NESTED:
            return self._shown(value)
        scrubbed: dict[Any, Any] = {}
        changed = False
        for name, item in value.items():
            shown = SECRET if _names_secret(name) and item else self._value(item, depth + 1)
            changed = changed or shown is not item
            scrubbed[name] = shown
        return scrubbed if changed else value

    def _shown(self, value: Any) -> Any:
        """An object whose text holds a secret, such as a request with its URL, is logged as that text, scrubbed."""
        try:
            text = str(value)
        except Exception:  # noqa: BLE001 - it can not be written to a log either
            return value
        scrubbed = self.text(text)
        return value if scrubbed == text else scrubbed

    def _failure(self, failure: Failure) -> Failure:
        """``failure`` itself, or one that shows neither the secrets of its message nor those of lines of code."""
        message, lines = failure.getErrorMessage(), failure.getTraceback()
        scrubbed, shown = self.text(message), self.text(lines)
        if (scrubbed, shown) == (message, lines):
            return failure
        copy = ScrubbedFailure.__new__(ScrubbedFailure)
        copy.__dict__.update(failure.__dict__)
        copy.value = ScrubbedError(scrubbed)
        copy.shown = shown
        return copy


class ScrubbedFailure(Failure):
    """Stands in a log for a failure whose text held a secret."""

    shown = ""

    def getTraceback(self, elideFrameworkCode: int = 0, detail: str = "default") -> str:
        """The traceback as the scrubber has left it."""
        return self.shown


class ScrubbedError(Exception):
    """Stands in a logged failure for an exception whose text held a secret."""


_SECRET_NAME = re.compile(r"(?i)^(?:authorization|cookie|set-cookie|.*(?:token|passw(?:or)?d|secret|xsrf).*)$")


def _names_secret(name: Any) -> bool:
    text = name.decode("latin-1") if isinstance(name, bytes) else name
    return isinstance(text, str) and _SECRET_NAME.match(text) is not None


def install(scrubber: Scrubber) -> None:
    """Put ``scrubber`` in front of all sinks. To be called before the log begins; a former one is replaced."""
    for observer in list(globalLogPublisher._observers):
        if isinstance(observer, Scrubber):
            globalLogPublisher.removeObserver(observer)
    globalLogPublisher.addObserver(scrubber)
    # Observers are called in this order, and events from before the log began are replayed through the same list.
    globalLogPublisher._observers.sort(key=lambda observer: not isinstance(observer, Scrubber))
