"""Sockets to listen on: ports on several addresses, a UNIX socket, what the service manager gives."""

from __future__ import annotations

import errno
import os
import random
import shutil
import socket
import stat
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

from twisted.internet import tcp, unix
from twisted.internet.interfaces import IListeningPort, IProtocolFactory

from jupyterd.system.imports import listen_variables
from jupyterd.utils import unix_socket_in_use
from jupyterd.web.server.transport import EagerTCP, EagerUnix

BACKLOG = 1024
_DENIED = {errno.EACCES, errno.EPERM}
_NO_SUCH_FAMILY = {errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL}
_FIRST_INHERITED = 3  # sd_listen_fds(3)
_TRIES_FOR_A_FREE_PORT = 10

Tell = Callable[[str], None]


class CannotListen(Exception):
    """There is nothing to listen on; one line for a person."""


def random_ports(port: int, n: int) -> Iterator[int]:
    """``n`` ports near ``port``: the first five in a row, the rest by chance within ``2 * n`` of it.

    None is lower than 1 (but for a first one that is) or higher than 65535.
    """
    for i in range(min(5, n)):
        yield min(port + i, 65535)
    for _ in range(n - 5):
        yield min(max(1, port + random.randint(-2 * n, 2 * n)), 65535)  # noqa: S311


def open_port(ip: str, ports: Iterable[int], tell: Tell) -> list[socket.socket]:
    """Listen on every address of ``ip``, all on the same port: the first of ``ports`` that is free on all of them.

    :param ip: an address, a host name, or several with commas between them; empty for all addresses of this machine.
    :param ports: 0 stands for one that the system chooses.
    :param tell: is told of ports that can not be had.
    :raises CannotListen: none of them can be had, or ``ip`` is not of this machine.
    """
    tried = []
    for port in ports:
        try:
            return _open_all(ip, port)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                tell(f"The port {port} is already in use.")
            elif error.errno in _DENIED:
                tell(f"Permission to listen on port {port} denied.")
            else:
                raise CannotListen(f"can not listen on {ip or 'all addresses'}, port {port}: {_text(error)}") from error
            tried.append(port)
    if len(tried) == 1:
        raise CannotListen(f"the Jupyter server could not be started because port {tried[0]} is not available.")
    raise CannotListen("the Jupyter server could not be started because no available port could be found.")


def _open_all(ip: str, port: int) -> list[socket.socket]:
    found = [
        info
        for each in ip.split(",")
        for info in socket.getaddrinfo(each or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    ]
    addresses: list[tuple[int, Any]] = list(dict.fromkeys((family, address) for family, _, _, _, address in found))
    for _ in range(_TRIES_FOR_A_FREE_PORT):
        try:
            return _open_each(addresses, port)
        except OSError as error:
            # The system chose a port for the first address that somebody has on the second.
            if port or error.errno != errno.EADDRINUSE:
                raise
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


def _open_each(addresses: list[tuple[int, Any]], port: int) -> list[socket.socket]:
    opened: list[socket.socket] = []
    missing: OSError | None = None
    try:
        for family, address in addresses:
            try:
                opened.append(listen(family, (address[0], port, *address[2:])))
            except OSError as error:
                if error.errno not in _NO_SUCH_FAMILY:
                    raise
                missing = error  # such as ::1 where IPv6 is switched off
            else:
                port = port or opened[0].getsockname()[1]
        if missing is not None and not opened:
            raise missing
    except OSError:
        for listening in opened:
            listening.close()
        raise
    return opened


def listen(family: int, address: tuple[str | int, ...], v6_only: bool = True) -> socket.socket:
    """A socket that listens on an address.

    :param v6_only: on ``::``, IPv4 has a socket of its own; else the system decides whether it comes in here too.
    :raises OSError: it can not be had.
    """
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6 and v6_only:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listening.bind(address)
        listening.listen(BACKLOG)
        listening.setblocking(False)
    except OSError:
        listening.close()
        raise
    return listening


# -- UNIX sockets


@dataclass(frozen=True)
class UnixSocket:
    """A UNIX socket of ours.

    :ivar mark: by which it is known: somebody else's at the same path is left alone.
    """

    listening: socket.socket
    path: str
    mark: tuple[int, int]

    @classmethod
    def found(cls, listening: socket.socket, path: str) -> UnixSocket | None:
        """One of ours that is open already; None where its path is gone."""
        try:
            return cls(listening, path, mark_of(path))
        except OSError:
            return None

    def remove(self) -> None:
        """Remove it from the file system."""
        with suppress(OSError):  # it is gone
            if mark_of(self.path) == self.mark:
                os.unlink(self.path)


def mark_of(path: str) -> tuple[int, int]:
    """By which a file is known: somebody else's at the same path is another.

    :raises OSError: there is none.
    """
    found = os.stat(path)
    return found.st_ino, found.st_mtime_ns  # inodes are used again at once


def remove_unix(path: str) -> None:
    """Remove a UNIX socket of ours on which nobody listens any more."""
    with suppress(OSError):
        os.unlink(path)


def open_unix(path: str, mode: int, group: str = "") -> UnixSocket:
    """Listen on a UNIX socket; one that a dead server has left is replaced. Its permissions are never too wide.

    :param path: absolute.
    :param mode: its permissions.
    :param group: the group that it is given to, by name or number; empty: it keeps the one that it gets.
    :raises CannotListen: a server answers there, something else is there, or the directory can not be written.
    """
    if unix_socket_in_use(path):
        raise CannotListen(f"The socket {path} is already in use.")
    if os.path.lexists(path) and not stat.S_ISSOCK(os.lstat(path).st_mode):
        raise CannotListen(f"{path} is not a socket.")
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    previous = os.umask(0o177)  # nobody else can connect before the mode is set
    try:
        with suppress(FileNotFoundError):
            os.unlink(path)
        listening.bind(path)
        if group:
            _give_to(path, group)
        os.chmod(path, mode)
        listening.listen(BACKLOG)
        listening.setblocking(False)
        return UnixSocket(listening, path, mark_of(path))
    except CannotListen:
        listening.close()
        os.unlink(path)
        raise
    except OSError as error:
        listening.close()
        raise CannotListen(f"can not listen on the socket {path}: {_text(error)}") from error
    finally:
        os.umask(previous)


def _give_to(path: str, group: str) -> None:
    try:
        shutil.chown(path, group=int(group) if group.isdecimal() else group)
    except LookupError:
        raise CannotListen(f"there is no group {group} for the socket {path}") from None
    except OSError as error:
        raise CannotListen(f"the socket {path} can not be given to the group {group}: {_text(error)}") from error


class UnixPort(unix.Port):
    """A UNIX socket that was opened by somebody else, who has set its mode and is also the one to remove it."""

    transport = EagerUnix

    def startListening(self) -> None:
        """Accept connections; twisted's own would make it writable for all the world."""
        assert self.factory is not None
        self.factory.doStart()
        assert self._preexistingSocket is not None
        self.socket, self._preexistingSocket = self._preexistingSocket, None
        self._shouldShutdown = False  # a service manager, or a successor, listens on it too
        self.connected = True
        self.fileno = self.socket.fileno  # type: ignore[method-assign]
        self.numberAccepts = 100
        self.startReading()

    def connectionLost(self, reason: Any) -> None:
        """Close it; twisted's own would unlink whatever is at its path."""
        tcp.Port.connectionLost(self, reason)


def adopt(reactor: Any, listening: socket.socket, factory: IProtocolFactory) -> IListeningPort:
    """Accept connections on an open socket, of which the port keeps a descriptor of its own."""
    if listening.family != socket.AF_UNIX:
        port: Any = reactor.adoptStreamPort(listening.fileno(), listening.family, factory)
        port.transport = EagerTCP
    else:
        port = UnixPort._fromListeningDescriptor(reactor, listening.fileno(), factory)
        port.startListening()
    listening.close()
    return cast("IListeningPort", port)


# -- from the service manager


def keep_for_us(environment: MutableMapping[str, str]) -> None:
    """Keep the service manager's variables from Twisted's endpoints; where there are none it costs nothing.

    To be called before anything imports them, unless :mod:`jupyterd.system.imports.late_tls` has.
    """
    if any(name.startswith("LISTEN_") for name in environment):
        with listen_variables.kept(environment):
            import twisted.internet.endpoints  # noqa: F401 - once, now, and not later


def inherited(environment: MutableMapping[str, str]) -> list[socket.socket]:
    """Listening sockets that the service manager (systemd.socket) has opened for this very process.

    Source: sd_listen_fds(3). The variables are removed, as they are not for our children.
    """
    meant = environment.pop("LISTEN_PID", "") == str(os.getpid())
    count = environment.pop("LISTEN_FDS", "0")
    environment.pop("LISTEN_FDNAMES", None)
    if not meant or not count.isdecimal():
        return []
    sockets = [socket.socket(fileno=_FIRST_INHERITED + i) for i in range(int(count))]
    for listening in sockets:
        listening.setblocking(False)
        listening.set_inheritable(False)
    return sockets


def _text(error: OSError) -> str:
    return error.strerror or str(error)
