"""Bytes that the system has taken for a connection: over TCP those that the peer has confirmed and those on their way.

Of a UNIX socket it is known by whoever sends from a file: see :mod:`jupyterd.kernels.websocket.counted_sends`.
"""

from __future__ import annotations

import fcntl
import os
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


def sent_from(counter: int) -> int | None:
    """How many bytes were sent from a file since it was made; None where that is not known."""
    try:
        return os.lseek(counter, 0, os.SEEK_CUR)
    except OSError:
        return None


def _confirmed(connection: socket.socket) -> int | None:
    try:
        found = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, CONFIRMED_TO)
    except (OSError, AttributeError):  # no TCP, or not Linux
        return None
    return int(_COUNT.unpack_from(found, CONFIRMED_AT)[0]) if len(found) == CONFIRMED_TO else None
