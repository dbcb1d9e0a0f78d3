"""Requests of browsers and of programs, to a guarded server in memory."""

from __future__ import annotations

from typing import Any

from jupyterd.testing.http import Answer, MemorySite
from tests.auth.serving import HOST, sent

UPGRADE = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    "Sec-WebSocket-Version": "13",
}
EVIL = {"Origin": "http://evil.example"}


def browser(cookies: dict[str, str], **more: str) -> dict[str, str]:
    return {"Cookie": sent(cookies), **{name.replace("_", "-"): value for name, value in more.items()}}


def upgrade(site: MemorySite, **headers: str) -> Answer:
    return site.request("GET", "/api/things/channels", headers={**UPGRADE, **headers})


def ask(site: MemorySite, method: str, path: str, **headers: str) -> Any:
    """A request whose answer comes later."""
    connection = site.connect()
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    connection.send(f"{method} {path} HTTP/1.1\r\nHost: {HOST}\r\n{lines}\r\n".encode())
    return connection


async def received(connection: Any) -> bytes:
    from twisted.internet import reactor
    from twisted.internet.task import deferLater

    for _ in range(100):
        data: bytes = connection.received()
        if data:
            return data
        await deferLater(reactor, 0)  # type: ignore[arg-type]
    raise AssertionError("no answer")
