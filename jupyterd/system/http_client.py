"""HTTP requests over TCP, TLS and UNIX sockets by the standard library: for commands, which have no reactor."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urlsplit


@dataclass(frozen=True)
class Response:
    """An answer.

    :ivar code: the HTTP status.
    :ivar headers: by name, any case.
    :ivar effective_url: what was asked.
    """

    code: int
    reason: str
    headers: http.client.HTTPMessage
    body: bytes
    effective_url: str

    def json(self) -> Any:
        """The body, read as JSON."""
        return json.loads(self.body)


class HTTPError(Exception):
    """The server refused.

    :ivar code: the HTTP status.
    :ivar response: all of its answer.
    """

    def __init__(self, response: Response) -> None:
        super().__init__(f"HTTP {response.code}: {response.reason}")
        self.code = response.code
        self.response = response


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def fetch(
    urlstring: str,
    method: str = "GET",
    body: bytes | str | None = None,
    headers: Mapping[str, str] | None = None,
    timeout: float = 20.0,
) -> Response:
    """Ask and wait.

    Certificates are not checked: this is for one's own server on this machine, whose certificate is often its own.
    Redirects are not followed: credentials stay with whom they were meant for.

    :param timeout: seconds without progress.
    :raises ValueError: the URL is of no known scheme.
    :raises HTTPError: the status is 400 or more.
    :raises OSError: nobody answers.
    """
    parts = urlsplit(urlstring)
    connection = _connection(parts, timeout)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request(method, target, body, dict(headers or {}))
        answer = connection.getresponse()
        response = Response(answer.status, answer.reason, answer.headers, answer.read(), urlstring)
    finally:
        connection.close()
    if response.code >= 400:
        raise HTTPError(response)
    return response


def _connection(parts: SplitResult, timeout: float) -> http.client.HTTPConnection:
    if parts.scheme == "http+unix":
        return _UnixConnection(parts.netloc.replace("%2F", "/"), timeout)
    if not parts.hostname or parts.scheme not in ("http", "https"):
        raise ValueError("Unknown URL scheme.")
    if parts.scheme == "http":
        return http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)
    context = ssl._create_unverified_context()  # noqa: S323 - see fetch
    return http.client.HTTPSConnection(parts.hostname, parts.port, timeout=timeout, context=context)
