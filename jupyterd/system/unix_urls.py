"""URLs of UNIX sockets: a path as the host of ``http+unix://``."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass


def urlencode_unix_socket_path(socket_path: str) -> str:
    """The path of a UNIX socket as the host of an ``http+unix`` URL."""
    return socket_path.replace("/", "%2F")


def urldecode_unix_socket_path(socket_path: str) -> str:
    """The path of the UNIX socket that such a host stands for."""
    return socket_path.replace("%2F", "/")


def urlencode_unix_socket(socket_path: str) -> str:
    """The ``http+unix`` URL of a UNIX socket."""
    return f"http+unix://{urlencode_unix_socket_path(socket_path)}"
