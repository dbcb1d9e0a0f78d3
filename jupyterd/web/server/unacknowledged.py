"""Unacknowledged bytes: how much of what was written to a connection its peer has not taken."""

from __future__ import annotations

import fcntl
from array import array
from termios import TIOCOUTQ
from typing import Any


def unread(transport: Any) -> int:
    """Bytes that wait in our hands, in TLS, and in the system's queue, where that can be told."""
    size = 0
    while hasattr(transport, "_appSendBuffer"):  # TLS, above what it writes to
        size += sum(map(len, transport._appSendBuffer))
        transport = transport.transport
    return size + waiting(transport) + queued(transport)


def waiting(transport: Any) -> int:
    """Bytes that Twisted's transport holds itself."""
    if not hasattr(transport, "_tempDataLen"):
        return 0
    return int(len(transport.dataBuffer) - transport.offset + transport._tempDataLen)


def queued(transport: Any) -> int:
    """Bytes that the system holds until the peer has confirmed them."""
    connection = getattr(transport, "socket", None)
    if connection is None:
        return 0
    count = array("i", [0])
    try:
        fcntl.ioctl(connection.fileno(), TIOCOUTQ, count)
    except (OSError, ValueError):
        return 0
    return count[0]
