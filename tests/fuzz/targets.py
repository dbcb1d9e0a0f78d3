"""What the fuzzers call: each takes any bytes, and raises only where something is wrong."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Any

from jupyterd.auth.http import cookies, forms
from jupyterd.auth.http import signed_values as signing
from jupyterd.auth.http import xsrf_tokens as xsrf
from jupyterd.auth.http.next_url import safe_next
from jupyterd.auth.http.origin_rules import OriginRules
from jupyterd.contents.paths import OutsideRoot, is_hidden, to_os_path
from jupyterd.errors import JupyterdError
from jupyterd.kernels.messages.websocket_codec import BadFrame, JSONCodec, V1Codec
from jupyterd.log_scrub import Scrubber

SECRET = b"0123456789abcdef"
ROOT = "/srv/root"
STATUSES = {100, 101, 200, 204, 302, 400, 401, 403, 404, 405, 408, 411, 413, 414, 415, 417, 426, 429, 431, 501}


@cache
def _site() -> Any:
    from tests.auth.serving import guarded_site

    return guarded_site()[0]


def form(data: bytes) -> None:
    """A form of either kind: fields of text, or none."""
    kind, _, body = data.partition(b"\n")
    for content_type in (forms.URLENCODED, forms.MULTIPART + "; boundary=x; " + kind.decode("latin-1")):
        for name, values in forms.fields_of(body, content_type).items():
            assert isinstance(name, str)
            assert all(isinstance(value, str) for value in values)


def head(data: bytes) -> None:
    """Any bytes on a connection: only known answers, never 500, and nothing is left behind."""
    site = _site()
    connection = site.connect()
    middle = len(data) // 2
    connection.send(data[:middle])
    connection.send(data[middle:])
    answer = connection.received()
    statuses = {int(code) for code in re.findall(rb"^HTTP/1\.[01] (\d{3}) ", answer)}
    assert statuses <= STATUSES, answer[:200]
    assert len(connection.protocol._buffer) <= 70_000
    site.reactor.advance(4000)
    assert not site.site.timeouts.heads.clients
    assert not site.site.timeouts.bodies.clients


def cookie(data: bytes) -> None:
    """A Cookie header; and a value as it comes back."""
    text = data.decode("latin-1")
    cookies.parse(text)
    try:
        line = cookies.set_cookie("name", text, httponly=True)
    except ValueError:
        return
    assert "\r" not in line
    assert "\n" not in line
    came_back = cookies.parse(line.rpartition("; HttpOnly")[0])["name"]
    assert came_back == text or text != text.strip() or '"' in text


def signed(data: bytes) -> None:
    """Nothing that we did not sign is accepted."""
    text = data.decode("utf-8", "replace")
    assert signing.unsign(SECRET, "name", text, 1e9, 1e9) is None
    ours = signing.sign(SECRET, "name", text, 1e9)
    if len(ours) <= signing.MAX_COOKIE_LENGTH:
        assert signing.unsign(SECRET, "name", ours, 1e9) == text


def token(data: bytes) -> None:
    """An XSRF token matches itself alone."""
    text = data.decode("latin-1")
    read = xsrf.read(text)
    if read:
        assert xsrf.complaint(text, xsrf.show(read, 0), "POST") is None
    assert xsrf.complaint(xsrf.show(xsrf.new(), 0), text, "POST") is not None


def next_url(data: bytes) -> None:
    """A login leads nowhere else."""
    target = safe_next(data.decode("utf-8", "replace"), "/base/", OriginRules())
    if target is not None:
        assert target.startswith("/base"), target
        assert not re.search(r"[\\\x00-\x20\x7f]", target)


def host(data: bytes) -> None:
    """A Host, Origin or Referer of a stranger is judged."""
    text = data.decode("utf-8", "replace")
    doors = OriginRules(allow_origin_pat=re.compile(r"https://[a-z]+\.example\.com"))
    doors.host_allowed(text)
    doors.origin_allowed(text, "localhost:8888")
    doors.referer_allowed(text, "localhost:8888")
    if doors.origin_listed(text):
        assert re.fullmatch(r"https://[a-z]+\.example\.com", text)


def wire(data: bytes) -> None:
    """A frame of a client is a message, or a bad one."""
    for codec in (V1Codec(), JSONCodec()):
        for binary in (True, False):
            try:
                channel, parts = codec.decode(data, binary)
            except BadFrame:
                continue
            assert isinstance(channel, str)
            assert len(parts) >= 4
            b"".join(map(bytes, codec.encode(channel.encode("utf-8", "replace"), [parts])))


def path(data: bytes) -> None:
    """A path of the API stays below the root."""
    text = data.decode("utf-8", "surrogateescape")
    try:
        found = to_os_path(ROOT, text)
    except (OutsideRoot, JupyterdError):
        return
    assert found == ROOT or found.startswith(ROOT + "/"), found
    assert "/../" not in found + "/"
    assert "\0" not in found
    is_hidden(found, ROOT)


def scrub(data: bytes) -> None:
    """A log line is scrubbed, in a time that grows with its length, and a known secret never survives."""
    text = data.decode("utf-8", "replace")
    scrubber = Scrubber(lambda: ["hunter2hunter2"])
    assert "hunter2hunter2" not in scrubber.text(f"{text} hunter2hunter2 {text}")
    assert "pa55w0rd" not in scrubber.text(f"/x?token=pa55w0rd {text}") or "pa55w0rd" in text


TARGETS: dict[str, Callable[[bytes], None]] = {
    "cookie": cookie,
    "form": form,
    "head": head,
    "host": host,
    "next": next_url,
    "path": path,
    "scrub": scrub,
    "signed": signed,
    "token": token,
    "wire": wire,
}
