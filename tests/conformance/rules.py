"""Where jupyterd answers otherwise than the reference on purpose; each rule is a heading of ``docs/differences.md``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from tests.conformance.asking import Case, Told

REFUSED = (400, 403, 404, 405)


class Rule(NamedTuple):
    """Whether an answer differs by this rule.

    :ivar heading: the heading in ``docs/differences.md``.
    :ivar holds: given the case, our answer, theirs, and the lines that say what differs.
    """

    heading: str
    holds: Callable[[Case, Told, Told, Sequence[str]], bool]


def _path(case: Case) -> str:
    return case.path.partition("?")[0]


def _says_why(told: Told) -> bool:
    return not isinstance(told.body, dict) or told.body.get("message") not in (None, "", "Unhandled error")


def _unhandled(case: Case, ours: Told, theirs: Told, found: Sequence[str]) -> bool:
    return theirs.status == 500 and (ours.status < 500 or _says_why(ours))


def _head(case: Case, ours: Told, theirs: Told, found: Sequence[str]) -> bool:
    return case.method == "HEAD" and theirs.status in (404, 405, 500) and ours.status < 500


def _slash(case: Case, ours: Told, theirs: Told, found: Sequence[str]) -> bool:
    return _path(case).endswith("/") and theirs.status in (302, 403, 404, 405) and ours.status < 500


def _dots(case: Case, ours: Told, theirs: Told, found: Sequence[str]) -> bool:
    lowered = _path(case).lower()
    dotted = ".." in lowered or "%2e%2e" in lowered or "/./" in lowered or "//" in lowered or "%2f" in lowered
    return dotted and ours.status in (200, *REFUSED)


def _control(case: Case, ours: Told, theirs: Told, found: Sequence[str]) -> bool:
    return "%00" in case.path and ours.status in REFUSED


def _stranger(case: Case, ours: Told, theirs: Told, found: Sequence[str]) -> bool:
    refused = ours.status in (302, *REFUSED)
    return case.who in ("nobody", "wrong") and refused and theirs.status in (0, 200, 302, *REFUSED)


def _refusals(case: Case, ours: Told, theirs: Told, found: Sequence[str]) -> bool:
    sockets = ("/channels", "/websocket/", "/subscribe")
    lax = (
        case.only == "status"
        or any(part in case.path for part in sockets)
        or isinstance(case.body, bytes)
        or _path(case).startswith(("/files/", "/view/", "/kernelspecs/"))
    )
    return lax and ours.status in REFUSED and theirs.status in REFUSED


def _options(case: Case, ours: Told, theirs: Told, found: Sequence[str]) -> bool:
    return case.method == "OPTIONS" and ours.status in (200, *REFUSED) and theirs.status in (200, *REFUSED)


def _error_form(case: Case, ours: Told, theirs: Told, found: Sequence[str]) -> bool:
    return ours.status == theirs.status >= 400 and (
        "a page" in (ours.body, theirs.body)
        or all(isinstance(told.body, int | str) for told in (ours, theirs))
        or isinstance(ours.body, dict) != isinstance(theirs.body, dict)
    )


def _error_text(case: Case, ours: Told, theirs: Told, found: Sequence[str]) -> bool:
    alone = all(line.startswith("body.message: ours ") for line in found)
    return ours.status == theirs.status >= 400 and alone and _says_why(ours)


def _lab(case: Case, ours: Told, theirs: Told, found: Sequence[str]) -> bool:
    if case.path == "/lab/api/nothing":
        return (ours.status, theirs.status) == (404, 200)
    settings, themes = case.path.startswith("/lab/api/settings"), case.path.startswith("/lab/api/themes")
    told = ".schema.properties: only ours: {}" if settings else "headers.Accept-Ranges: only theirs"
    return (settings or themes) and ours.status == 200 and all(told in line for line in found)


def _types(case: Case, ours: Told, theirs: Told, found: Sequence[str]) -> bool:
    return case.body is not None and ours.status in (400, 404) and theirs.status in (200, 201, 204)


def _times(case: Case, ours: Told, theirs: Told, found: Sequence[str]) -> bool:
    return all("execution_state: ours" in line or "connections: ours" in line for line in found)


def _links(case: Case, ours: Told, theirs: Told, found: Sequence[str]) -> bool:
    told = (".size: ours", ".last_modified: ours", "Last-Modified: ours")
    if "dangling" in case.path:
        return (ours.status, theirs.status) == (204, 404)
    return case.method == "GET" and all(any(part in line for part in told) for line in found)


def _named_as_verbs(case: Case, ours: Told, theirs: Told, found: Sequence[str]) -> bool:
    return _path(case) in ("/api/contents/trust", "/api/contents/checkpoints") and theirs.status in (200, 405)


RULES = (
    Rule("Entries called `trust` or `checkpoints`", _named_as_verbs),
    Rule("Errors that the reference does not handle", _unhandled),
    Rule("HEAD and OPTIONS", _head),
    Rule("HEAD and OPTIONS", _options),
    Rule("Slashes and dots in paths", _slash),
    Rule("Slashes and dots in paths", _dots),
    Rule("Slashes and dots in paths", _control),
    Rule("Strangers", _stranger),
    Rule("Logging out", lambda case, ours, theirs, found: (case.method, case.path) == ("POST", "/logout")),
    Rule("404 and 405", _refusals),
    Rule("Uploads in chunks", lambda case, ours, theirs, found: isinstance(case.body, dict) and "chunk" in case.body),
    Rule("JupyterLab's own paths", _lab),
    Rule("Symbolic links", _links),
    Rule("Wrong types and missing fields", _types),
    Rule("When a kernel is called idle", _times),
    Rule(
        "Conversion of what is no notebook",
        lambda case, ours, theirs, found: "/nbconvert/" in case.path and (ours.status, theirs.status) == (302, 200),
    ),
    Rule("Ranges", lambda case, ours, theirs, found: any(name == "Range" for name, _ in case.headers)),
    Rule("The form of an error", _error_form),
    Rule("The form of an error", _error_text),
)


def deliberate(case: Case, ours: Told, theirs: Told, found: Sequence[str]) -> str | None:
    """The heading under which this difference is told; None where it is a defect."""
    if case.differs:
        return case.differs
    return next((rule.heading for rule in RULES if rule.holds(case, ours, theirs, found)), None)
