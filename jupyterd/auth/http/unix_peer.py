"""Peer of a UNIX socket: the kernel knows whose process it is (SO_PEERCRED, Linux)."""

from __future__ import annotations

import os
import pwd
import socket
import struct
from typing import Any

from jupyterd.auth.user import User

_UCRED = struct.Struct("3i")  # pid, uid, gid: struct ucred of Linux's unix(7)


def peer_uid(transport: Any) -> int | None:
    """The uid of the process that connected; None on TCP, and where the system does not tell."""
    connection: Any = getattr(transport, "socket", None)
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None or getattr(connection, "family", None) != socket.AF_UNIX:
        return None
    try:
        _pid, uid, _gid = _UCRED.unpack(connection.getsockopt(socket.SOL_SOCKET, option, _UCRED.size))
    except OSError:
        return None
    return int(uid)


def peer_user(uid: int, trusted: list[str]) -> User | None:
    """The system's user ``uid``, where that one is trusted: ourselves, or listed by name or number."""
    try:
        entry = pwd.getpwuid(uid)
        name, person = entry.pw_name, entry.pw_gecos.partition(",")[0]
    except KeyError:
        name, person = str(uid), ""
    if uid != os.getuid() and name not in trusted and str(uid) not in trusted:
        return None
    return User(name, person)
