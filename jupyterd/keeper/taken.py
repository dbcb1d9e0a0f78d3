"""Bytes that the system has taken for a TCP connection: those that the peer has confirmed, and those on their way."""

from __future__ import annotations

import fcntl
import socket
from array import array
from struct import Struct
from termios import TIOCOUTQ

CONFIRMED_AT, CONFIRMED_TO = 120, 128
"""Where ``tcpi_bytes_acked`` is in ``struct tcp_info``. Source: linux/tcp.h."""

TRIES = 10
"""Questions at most, while the peer confirms more and more."""

_COUNT = Struct("=Q")


def taken(connection: socket.socket) -> int | None:
    """How many there have been, from some number on that stays the same; None where the system does not tell."""
    for _ in range(TRIES):
        before = _confirmed(connection)
        count = array("i", [0])
        try:
            fcntl.ioctl(connection.fileno(), TIOCOUTQ, count)
        except (OSError, ValueError):
            return None
        if before is None or before == _confirmed(connection):  # else some were confirmed between the two questions
            return None if before is None else before + count[0]
    return None


def _confirmed(connection: socket.socket) -> int | None:
    try:
        found = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, CONFIRMED_TO)
    except (OSError, AttributeError):  # no TCP, or not Linux
        return None
    return int(_COUNT.unpack_from(found, CONFIRMED_AT)[0]) if len(found) == CONFIRMED_TO else None
