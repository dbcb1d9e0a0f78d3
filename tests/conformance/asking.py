"""A case is one request, a story several in order. Both servers are asked; their answers are made comparable."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

from tests.conformance.servers import Pair, Server
from tests.real.daemon import TOKEN, Answer

HEADERS = (
    "Content-Type",
    "Location",
    "Last-Modified",
    "Content-Disposition",
    "Content-Range",
    "Accept-Ranges",
    "Content-Security-Policy",
    "X-Content-Type-Options",
    "Www-Authenticate",
    "Access-Control-Allow-Origin",
    "Access-Control-Allow-Credentials",
    "Access-Control-Allow-Headers",
    "Access-Control-Allow-Methods",
)
"""Response headers that clients act upon."""
UNKNOWN = "00000000-0000-0000-0000-000000000000"


@dataclass(frozen=True)
class Case:
    """One request.

    :ivar path: as it is sent, ``{name}`` replaced by what was kept; so in a body.
    :ivar body: bytes as they are, anything else as JSON.
    :ivar who: ``token``, ``query``, ``wrong``, ``nobody``, ``browser`` (its cookies) or ``xsrf`` (and the XSRF header).
    :ivar keep: what later requests name: key to the path of its value in the answer.
    :ivar differs: why the answers differ and shall; a heading of ``docs/differences.md``.
    :ivar only: what is compared: ``status`` alone, or ``all``.
    """

    method: str
    path: str
    body: Any = None
    headers: tuple[tuple[str, str], ...] = ()
    who: str = "token"
    keep: tuple[tuple[str, str], ...] = ()
    differs: str = ""
    only: str = "all"

    @property
    def name(self) -> str:
        said = (
            ""
            if self.body is None
            else " " + (repr(self.body) if isinstance(self.body, bytes) else json.dumps(self.body))
        )
        extra = "".join(f" {n}: {v}" for n, v in self.headers)
        return f"{self.method} {self.path}{said[:60]}{extra[:60]}{'' if self.who == 'token' else ' as ' + self.who}"

    def as_(self, who: str) -> Case:
        return replace(self, who=who)


@dataclass(frozen=True)
class Story:
    """Requests in order; what one keeps the next may name.

    :ivar to_the_end: later requests compare although one server did something and the other refused.
    """

    name: str
    cases: tuple[Case, ...]
    to_the_end: bool = False


def url(path: str) -> str:
    """A path of the contents API, escaped."""
    return quote(path)


def send(server: Server, case: Case) -> Answer:
    """Ask one server."""
    headers = list(case.headers)
    path = case.path
    if case.who == "token":
        headers.append(("Authorization", f"token {TOKEN}"))
    elif case.who == "wrong":
        headers.append(("Authorization", "token wrong"))
    elif case.who == "query":
        path += f"{'&' if '?' in path else '?'}token={TOKEN}"
    elif case.who in ("browser", "xsrf"):
        headers.append(("Cookie", "; ".join(f"{n}={v}" for n, v in server.cookies.items())))
        if case.who == "xsrf":
            headers.append(("X-XSRFToken", server.cookies.get("_xsrf", "")))
    body = case.body
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
    for name, value in server.known.items():
        path = path.replace(f"{{{name}}}", value)
        if body is not None:
            body = body.replace(b"{%s}" % name.encode(), value.encode())
    answer = server.ask(case.method, path, body, headers)
    _remember(server, case, answer)
    return answer


def _remember(server: Server, case: Case, answer: Answer) -> None:
    if case.who in ("browser", "xsrf"):
        for line in answer.headers.get("Set-Cookie", "").splitlines():
            name, _, value = line.partition(";")[0].partition("=")
            server.cookies[name] = value
            if "expires=" in line.lower() and value in ("", '""'):
                del server.cookies[name]
    for name, where in case.keep:
        value = answer.json
        for step in where.split("."):
            value = value[int(step) if step.isdigit() else step]
        server.known[name] = str(value)


# -- what is compared


UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
MOMENT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?")
FIXED = "2023-11-14"
"""The day of the prepared files: their times compare."""


def text_of(server: Server, text: str) -> str:
    """A text without what is a server's own."""
    daemon = server.daemon
    text = text.replace(str(daemon.home), "HOME")
    text = re.sub(rf"(?<![\w.]){daemon.port}(?!\w)", "PORT", text)  # not the same digits in a time or a hash
    for cookie in server.cookies.values():
        if len(cookie) > 12:
            text = text.replace(cookie, "COOKIE")
    text = UUID.sub(lambda found: found[0] if found[0] == UNKNOWN else "UUID", text)
    text = MOMENT.sub(lambda found: found[0] if found[0].startswith(FIXED) else "MOMENT", text)
    text = re.sub(r"Anonymous \w+|\b[0-9a-f]{32}\b", "ANONYMOUS", text)
    return re.sub(r"0x[0-9a-f]{6,}", "0xADDRESS", text)


def value_of(server: Server, value: Any, key: str = "") -> Any:
    """A JSON value without what is a server's own."""
    if isinstance(value, dict):
        return {name: value_of(server, inner, name) for name, inner in value.items()}
    if isinstance(value, list):
        values = [value_of(server, inner, key) for inner in value]
        return sorted(values, key=_place) if key == "content" else values
    if isinstance(value, str):
        if key == "id" and re.fullmatch("[0-9a-f]{8}", value):
            return "CELL"
        return "XX" if key == "initials" else text_of(server, value)
    return value


def _place(entry: Any) -> str:
    return str(entry.get("path")) if isinstance(entry, dict) else repr(entry)


def cookies_of(server: Server, answer: Answer, case: Case) -> list[str]:
    """Names and attributes of the cookies set."""
    described = []
    if case.who == "token":
        return []  # a token in a header needs no cookie; the reference signs one each time
    for line in answer.headers.get("Set-Cookie", "").splitlines():
        (name, _, value), *attributes = (part.strip().partition("=") for part in line.split(";"))
        empty = " cleared" if value in ("", '""') else ""
        names = sorted(n.title() if n.lower() == "expires" else f"{n.title()}={v}" for n, _, v in attributes)
        names = [n for n in names if n != "Expires"]
        described.append(f"{text_of(server, name)}{empty}; {'; '.join(names)}")
    return sorted(described)


@dataclass
class Told:
    """An answer, comparable."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    cookies: list[str] = field(default_factory=list)
    body: Any = None


def told(server: Server, answer: Answer, case: Case) -> Told:
    """What of an answer clients see."""
    headers = {name: text_of(server, answer.headers[name]) for name in HEADERS if answer.headers.get(name)}
    if "Last-Modified" in headers and "14 Nov 2023" not in headers["Last-Modified"]:
        headers["Last-Modified"] = re.sub(r"\d+", "N", re.sub(r"^\w+, \d+ \w+", "DAY", headers["Last-Modified"]))
    if answer.status == 304 or headers.get("Content-Type", "").startswith("text/html"):
        headers.pop("Content-Type", None)  # whether a page names its charset
    if answer.status in (204, 302):
        headers.pop("Content-Type", None)  # of no body
    if answer.status in (201, 302):
        headers.pop("Content-Security-Policy", None)  # nothing is shown
    if answer.status >= 400:
        headers = {name: value for name, value in headers.items() if name.startswith(("Www", "Access", "Location"))}
    return Told(answer.status, headers, cookies_of(server, answer, case), body_of(server, answer, case))


def body_of(server: Server, answer: Answer, case: Case) -> Any:
    if not answer.body or case.method == "HEAD":
        return len(answer.body)
    kind = answer.headers.get("Content-Type", "").partition(";")[0]
    if kind == "application/json" or answer.body[:1] in b"{[":
        try:
            return value_of(server, json.loads(answer.body))
        except ValueError:
            pass
    if kind == "text/html" and b"<title" in answer.body.lower() and b"jp-Notebook" not in answer.body:
        return "a page"
    return text_of(server, answer.body.decode("latin-1"))


def differences(ours: Any, theirs: Any, where: str = "") -> Iterator[str]:
    """Where two comparable values differ, one line each."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in sorted({*ours, *theirs}, key=str):
            if key not in theirs:
                yield f"{where}.{key}: only ours: {ours[key]!r:.200}"
            elif key not in ours:
                yield f"{where}.{key}: only theirs: {theirs[key]!r:.200}"
            else:
                yield from differences(ours[key], theirs[key], f"{where}.{key}")
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for index, (mine, other) in enumerate(zip(ours, theirs, strict=True)):
            yield from differences(mine, other, f"{where}[{index}]")
    elif type(ours) is not type(theirs) or ours != theirs:
        yield f"{where}: ours {ours!r:.300}, theirs {theirs!r:.300}"


def ask(pair: Pair, case: Case) -> tuple[Told, Told]:
    """What both answer."""
    ours, theirs = (told(server, send(server, case), case) for server in pair)
    return ours, theirs


def compare(case: Case, ours: Told, theirs: Told) -> list[str]:
    """Where two answers differ."""
    found = list(differences(ours.status, theirs.status, "status"))
    if case.only == "status":
        return found
    found += differences(ours.headers, theirs.headers, "headers")
    found += differences(ours.cookies, theirs.cookies, "cookies")
    found += differences(ours.body, theirs.body, "body")
    return found
