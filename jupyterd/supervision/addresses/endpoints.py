"""Endpoints: more places to listen on, each written as one of Twisted's endpoint strings."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.internet.interfaces import IProtocolFactory
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.python.failure import Failure

from jupyterd.supervision.addresses.tls import BadCertificate, EndpointCertificates
from jupyterd.supervision.sockets import CannotListen, UnixSocket, adopt, listen, open_unix
from jupyterd.utils import url_path_join, urlencode_unix_socket_path

MAX_ENDPOINTS = 8
"""Endpoints of one server; each may be a socket that is handed over when another process takes over."""

_MODE = re.compile(r":mode=")
_INTERFACE = re.compile(r"(?<!\\):interface=((?:\\.|[^:\\])*)")


class BadEndpoint(ValueError):
    """A string that is no endpoint, or none that is listened on here; one line for a person."""


def check(texts: Sequence[str]) -> None:
    """Look whether all of them can be understood; opens nothing.

    :raises BadEndpoint: one can not.
    """
    from twisted.internet.endpoints import serverFromString

    if len(texts) > MAX_ENDPOINTS:
        raise BadEndpoint(f"there are {len(texts)} of them, {MAX_ENDPOINTS} are the most")
    if len(set(texts)) < len(texts):
        raise BadEndpoint("one is there twice")
    for text in texts:
        kind = text.partition(":")[0]
        if kind == "systemd":
            raise BadEndpoint(f"{text}: sockets of the service manager are listened on without being named")
        if kind == "unix" and (name := text.partition(":")[2])[:1] in ("", ":", "@", "\0"):
            raise BadEndpoint(f"{text}: {_ABSTRACT if name else 'a path is missing'}")
        try:
            serverFromString(None, text)
        except Exception as error:  # each kind reads its string, and files that it names, in its own way
            raise BadEndpoint(f"{text}: {str(error) or type(error).__name__}") from error


_ABSTRACT = "an abstract socket has no permissions, every user of the machine can reach it; write a path"


def is_remote(text: str) -> bool:
    """Whether somebody on another machine may come in by it."""
    if text.startswith("unix:"):
        return False
    found = _INTERFACE.search(text)
    return found is None or not re.fullmatch(r"127\..*|localhost|::1|0:0:0:0:0:0:0:1", found[1].replace("\\", ""))


class _Openers:
    """The reactor as one endpoint sees it: what it opens waits for :meth:`Endpoint.begin`, and can be handed over.

    :param given: sockets of this endpoint that a server before this one has handed over; they are used first.
    """

    def __init__(self, reactor: Any, endpoint: Endpoint, given: list[tuple[socket.socket, str]]) -> None:
        self._reactor, self._endpoint, self._given = reactor, endpoint, given

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)

    def listenTCP(self, port: int, factory: Any, backlog: int = 50, interface: str = "") -> Any:
        """See ``IReactorTCP``."""
        if self._given:
            return self._endpoint.add(self._given.pop(0)[0], factory)
        family = socket.AF_INET6 if ":" in interface else socket.AF_INET
        try:
            listening = listen(family, (interface or "0.0.0.0", port), v6_only=False)  # noqa: S104 - as Twisted reads it
        except OSError as error:
            where = f"can not listen on {self._endpoint.text}"
            raise CannotListen(f"{where}: {error.strerror or error}") from error
        return self._endpoint.add(listening, factory)

    def listenSSL(self, port: int, factory: Any, contextFactory: Any, backlog: int = 50, interface: str = "") -> Any:
        """See ``IReactorSSL``."""
        from twisted.protocols.tls import TLSMemoryBIOFactory

        from jupyterd.supervision.addresses.bulk_tls import BulkTLS

        endpoint = self._endpoint
        endpoint.secure = True
        certificates = EndpointCertificates(contextFactory, partial(_contexts_of, endpoint.text))
        endpoint.certificates.append(certificates)
        tls = TLSMemoryBIOFactory(certificates, False, factory)
        tls.protocol = BulkTLS
        return self.listenTCP(port, tls, backlog, interface)

    def listenUNIX(
        self, address: str, factory: Any, backlog: int = 50, mode: int = 0o666, wantPID: bool = False
    ) -> Any:
        """See ``IReactorUNIX``. The mode is the server's unless the string names one."""
        endpoint, path = self._endpoint, os.path.abspath(address)
        if self._given:
            listening, owned = self._given.pop(0)
            endpoint.unix = UnixSocket.found(listening, path) if owned else None
        else:
            named = bool(_MODE.search(endpoint.text))
            endpoint.unix = open_unix(path, mode if named else endpoint.mode, endpoint.group)
            listening = endpoint.unix.listening
        return endpoint.add(listening, factory)


def url_of(where: str | tuple[Any, ...], secure: bool, base_url: str) -> str:
    """Where a server is for its clients.

    :param where: the path of a UNIX socket, or address and port.
    :param secure: whether it speaks TLS there.
    """
    if isinstance(where, str):
        return url_path_join(f"http+unix://{urlencode_unix_socket_path(where)}", base_url)
    address = socket.gethostname() if where[0] in ("0.0.0.0", "::") else where[0]  # noqa: S104
    address = f"[{address}]" if ":" in address else address
    return url_path_join(f"http{'s' if secure else ''}://{address}:{where[1]}", base_url)


class _Reader:
    """A reactor that opens nothing: it tells what an endpoint would make TLS contexts with."""

    found: Any = None

    def listenSSL(self, port: int, factory: Any, contextFactory: Any, backlog: int = 50, interface: str = "") -> None:
        """See ``IReactorSSL``."""
        self.found = contextFactory


def _contexts_of(text: str) -> Any:
    from twisted.internet.endpoints import serverFromString

    reader: Any = _Reader()
    serverFromString(reader, text).listen(Factory())
    return reader.found


class Endpoint:
    """One of them.

    :param mode: permissions of a UNIX socket whose string names none.
    :param group: the group that a UNIX socket is given to; empty: it keeps its own.
    """

    log = Logger()

    def __init__(self, reactor: Any, text: str, mode: int, group: str = "") -> None:
        self._reactor = reactor
        self.text, self.mode, self.group = text, mode, group
        self.secure = text.startswith(("ssl:", "tls:"))
        self.unix: UnixSocket | None = None
        self.ports: list[Any] = []
        self.certificates: list[EndpointCertificates] = []

    def open(self, factory: IProtocolFactory, given: list[tuple[socket.socket, str]]) -> None:
        """Open it; nothing is accepted before :meth:`begin`.

        :raises CannotListen: it can not be had.
        """
        from twisted.internet.endpoints import serverFromString

        reactor: Any = _Openers(self._reactor, self, given)
        failures: list[Failure] = []
        try:
            listening = serverFromString(reactor, self.text).listen(factory)
        except Exception as error:  # as in check()
            raise CannotListen(f"{self.text}: {error}") from error
        listening.addCallbacks(self._listens, failures.append)
        if not listening.called:  # such as a hidden service, which is told when it is there
            listening.addErrback(lambda failure: self.log.failure("{text} can not be had", failure, text=self.text))
        for failure in failures:
            if failure.check(CannotListen):
                failure.raiseException()
            raise CannotListen(f"can not listen on {self.text}: {failure.getErrorMessage()}")

    def _listens(self, port: Any) -> None:
        """It listens in a way of its own."""
        if not self.ports:
            self.ports.append(port)

    def add(self, listening: socket.socket, factory: Any) -> Any:
        """Take an open socket; it is accepted from later."""
        port: Any = adopt(self._reactor, listening, factory)
        port.stopReading()
        self.ports.append(port)
        return port

    def begin(self) -> None:
        """Accept connections."""
        for port in self.ports:
            if hasattr(port, "startReading"):
                port.startReading()

    def reload(self) -> None:
        """Read the files again that the string names.

        :raises BadCertificate: they can not be used; the old ones stay in use.
        """
        for certificates in self.certificates:
            try:
                certificates.reload()
            except Exception as error:  # as in check()
                raise BadCertificate(f"{self.text}: {str(error) or type(error).__name__}") from error

    def url(self, base_url: str) -> str:
        """Where it is for clients; the string itself where that is not to be told."""
        host: Any = self.ports[0].getHost() if self.ports else None
        if self.unix is not None:
            return url_of(self.unix.path, self.secure, base_url)
        if not self.text.startswith(("tcp:", "tcp6:", "ssl:", "tls:")) or host is None:
            return self.text
        return url_of((host.host, host.port), self.secure, base_url)


class Endpoints:
    """All of one server."""

    def __init__(self, reactor: Any, texts: Sequence[str], mode: int, group: str = "") -> None:
        self.all = [Endpoint(reactor, text, mode, group) for text in texts]

    def open(
        self, factory: IProtocolFactory, given: Mapping[str, list[tuple[socket.socket, str]]] | None = None
    ) -> None:
        """Open all of them, or none.

        :param given: sockets that were handed over, and the path of each that is a UNIX socket of ours, by endpoint.
        :raises CannotListen: one can not be had.
        """
        try:
            for endpoint in self.all:
                endpoint.open(factory, (given or {}).get(endpoint.text, []))
        except CannotListen:
            self.close()
            raise

    def begin(self) -> None:
        """Accept connections."""
        for endpoint in self.all:
            endpoint.begin()

    def reload(self) -> None:
        """Read the certificates again of those that are TLS; connections made from now on use them.

        :raises BadCertificate: those of one can not be used; that one keeps its old ones.
        """
        for endpoint in self.all:
            endpoint.reload()

    def urls(self, base_url: str) -> list[str]:
        """Where they are for clients."""
        return [endpoint.url(base_url) for endpoint in self.all]

    def hand_over(self) -> list[tuple[int, str, str]]:
        """Descriptor, endpoint and path of each socket that another process can take."""
        return [
            (port.fileno(), endpoint.text, endpoint.unix.path if endpoint.unix else "")
            for endpoint in self.all
            for port in endpoint.ports
            if hasattr(port, "fileno")
        ]

    def leave(self) -> None:
        """Another process serves on there: UNIX sockets stay where they are."""
        for endpoint in self.all:
            endpoint.unix = None

    def close(self) -> Deferred[list[Any]]:
        """Accept no more."""
        closing: list[Deferred[Any]] = []
        for endpoint in self.all:
            closing += [maybeDeferred(port.stopListening) for port in endpoint.ports]
            endpoint.ports = []
            if endpoint.unix is not None:
                endpoint.unix.remove()
                endpoint.unix = None
        return gatherResults(closing, consumeErrors=True)
