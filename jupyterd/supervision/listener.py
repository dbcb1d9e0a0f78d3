"""Listener: opens the ports, tells where, and is the first to stop."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.internet.interfaces import IDelayedCall, IListeningPort, IProtocolFactory
from twisted.logger import Logger

from jupyterd.supervision import sockets, startup_messages
from jupyterd.supervision.addresses import tls
from jupyterd.supervision.addresses.endpoints import Endpoints, url_of
from jupyterd.supervision.browser import open_browser
from jupyterd.supervision.handover.successor import CanNotTakeOver, HandedOver, Successor
from jupyterd.supervision.server_settings import Server
from jupyterd.supervision.systemd_notify import Notify
from jupyterd.system.daemon_directory import DaemonDirectory

MAX_SOCKETS = 16
"""Sockets of one server; so many are handed over to another process at once (``jupyterd.keeper.connection``)."""

LOOK_SECONDS = 60.0
"""How often it is looked whether the files by which others find the server are there."""


class Listener(Service):
    """Listens for ``factory`` on what the settings say.

    It opens sockets before privileges are given up, and accepts connections when everything behind it has started. A
    client that comes in between waits in the socket's queue, and is not refused.

    :param server: gets the port that was found.
    :param notify: is told when the server is there and when it goes.
    :param notes: remembers the files by which others find the server, for when it is killed.
    :param ready: what has to be done before the first client is served.
    :param listens: called when it does.
    :param in_thread: looks for files.
    :param successor: gets the sockets of a server that runs; None where that is not wanted.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        factory: IProtocolFactory,
        server: Server,
        notify: Notify,
        notes: DaemonDirectory | None = None,
        ready: Callable[[], Deferred[None]] | None = None,
        successor: Successor | None = None,
        listens: Callable[[], None] = lambda: None,
        in_thread: Callable[..., Deferred[bool]] = maybeDeferred,
    ) -> None:
        self._listens = listens
        self._ready, self._successor = ready, successor
        self._handed_over = False
        self._reactor = reactor
        self._factory = factory
        factory.noisy = False  # type: ignore[attr-defined]  # it would tell that it starts and stops
        self._server = server
        self._notify = notify
        self._notes = notes
        self._listening: list[socket.socket] = []
        self._unix: sockets.UnixSocket | None = None
        self._ports: list[IListeningPort] = []
        self._more = Endpoints(reactor, server.endpoints, int(server.sock_mode, 8), server.sock_group)
        self._more_named: list[str] = []
        self._opened = False
        self._in_thread = in_thread
        self._look_again: IDelayedCall | None = None
        self._unwanted: list[str] = []
        self.certificates: tls.Certificates | None = None

    def privilegedStartService(self) -> None:
        """Open the sockets.

        :raises CannotListen: there is nothing to listen on.
        """
        super().privilegedStartService()
        self._opened = True
        self._prepare_tls()
        inherited = sockets.inherited(os.environ)
        given = [] if inherited else self._handed()
        self._listening = inherited or self._taken_over(given)
        named_elsewhere = bool(self._listening)
        self._listening = self._listening or self._open()
        try:
            self._note_where(named_elsewhere)
            self._open_more(given)
        except sockets.CannotListen:
            self._close_main()
            raise

    def _open_more(self, given: list[HandedOver]) -> None:
        """Open the endpoints; sockets of one that is no longer wanted are closed."""
        by_endpoint: dict[str, list[tuple[socket.socket, str]]] = {}
        for each in given:
            if each.endpoint:
                by_endpoint.setdefault(each.endpoint, []).append((each.listening, each.path))
        self._more.open(self._factory, by_endpoint)
        for listening, path in (left for all_left in by_endpoint.values() for left in all_left):
            listening.close()
            if path:
                self._unwanted.append(path)
        if len(self._listening) + len(self._more.all) > MAX_SOCKETS:
            self._more.close()
            raise sockets.CannotListen(f"a server listens on {MAX_SOCKETS} sockets at most")
        self._server.more_urls = [*self._more_named, *self._more.urls(self._server.base_url)]

    def _handed(self) -> list[HandedOver]:
        """The sockets of the server before this one, if there is one and it is to be taken over from."""
        if self._successor is None:
            return []
        try:
            return self._successor.sockets()
        except CanNotTakeOver as error:
            raise sockets.CannotListen(str(error)) from error

    def _taken_over(self, given: list[HandedOver]) -> list[socket.socket]:
        found = [each for each in given if not each.endpoint]
        for each in found:
            if each.path:
                self._unix = sockets.UnixSocket.found(each.listening, each.path)
        return [each.listening for each in found]

    def hand_over(self) -> list[tuple[int, str, str]]:
        """Each listening socket for a successor: descriptor, endpoint, path of a UNIX socket of ours; they are left."""
        path = self._unix.path if self._unix is not None else ""
        own = [(port.fileno(), "", path) for port in self._ports]  # type: ignore[attr-defined]
        return [*own, *self._more.hand_over()] if own else []

    def leave(self, successor: int | None = None) -> None:
        """Another process serves on: stop without a word to clients.

        :param successor: its number, where this process has started it.
        """
        self._handed_over = True
        if successor is not None:
            self._notify.hand_over(successor)
        self._unix = None
        self._more.leave()

    def _open(self) -> list[socket.socket]:
        server = self._server
        if server.sock:
            self._unix = sockets.open_unix(server.sock, int(server.sock_mode, 8), server.sock_group)
            return [self._unix.listening]
        ports = sockets.random_ports(server.port, server.port_retries + 1) if server.port else iter([0])
        return sockets.open_port(server.ip, ports, lambda text: self.log.info("{text}", text=text))

    def _prepare_tls(self) -> None:
        server = self._server
        options = tls.options_of(server.certfile, server.keyfile, server.client_ca, server.ssl_options)
        if not options:
            return
        try:
            self.certificates = tls.Certificates(options)
        except tls.BadCertificate as error:
            raise sockets.CannotListen(str(error)) from error

    def reload_certificates(self) -> None:
        """Read the files of certificates and keys again; connections made from now on use them.

        :raises BadCertificate: some can not be used; the old ones stay in use.
        """
        if self.certificates is not None:
            self.certificates.reload()
        self._more.reload()

    def _note_where(self, named_elsewhere: bool) -> None:
        """Tell where the sockets are.

        :param named_elsewhere: by a unit of the service manager, so that ``port`` and ``sock`` do not say it.
        """
        names = [each.getsockname() for each in self._listening]
        for name in names:
            if isinstance(name, bytes):
                raise sockets.CannotListen(
                    f"the service manager's socket {name!r} is abstract: it has no permissions; give it a path"
                )
        server, first = self._server, names[0]
        if isinstance(first, tuple):
            server.port = first[1]
        if named_elsewhere:
            server.sock, server.port = ("", first[1]) if isinstance(first, tuple) else (first, 0)
            places = {name[1] if isinstance(name, tuple) else name: name for name in reversed(names)}
            del places[server.sock or server.port]
            secure = self.certificates is not None
            self._more_named = [url_of(name, secure, server.base_url) for name in reversed(places.values())]

    def startService(self) -> None:
        """Accept connections, and tell everybody."""
        if not self._opened:
            self.privilegedStartService()
        super().startService()
        if self._ready is None:
            self._accept()
        else:
            self._ready().addCallback(lambda _: self._accept())

    def _accept(self) -> None:
        if not self.running:
            return
        factory = self._factory
        if self.certificates is not None:
            from jupyterd.supervision.addresses.plain_http import Factory

            factory = Factory(self.certificates, False, factory)
        self._ports = [sockets.adopt(self._reactor, listening, factory) for listening in self._listening]
        self._listening = []
        self._more.begin()
        while self._unwanted:
            sockets.remove_unix(self._unwanted.pop())
        self._tell()

    def _tell(self) -> None:
        server = self._server
        self._write_files()
        if os.path.exists(server.info_file):  # else they can not be written, which has been told
            self._look_again = self._reactor.callLater(LOOK_SECONDS, self._look_for_files)
        for line in startup_messages.lines_of(server):
            self.log.info("{line}", line=line, shows_secret=True)
        if invitation := startup_messages.invitation(server):
            self.log.critical("{invitation}", invitation=invitation, shows_secret=True)
        if server.open_browser and not server.sock:
            self._reactor.callInThread(open_browser, server)
        self._notify.ready()
        self._listens()

    def _write_files(self) -> None:
        self._note_files()
        self._server.write_server_info_file()
        if not self._server.no_browser_open_file:
            self._server.write_browser_open_files()

    def _look_for_files(self) -> None:
        self._look_again = self._reactor.callLater(LOOK_SECONDS, self._look_for_files)
        self._in_thread(os.path.exists, self._server.info_file).addCallbacks(self._keep_files, lambda _: None)

    def _keep_files(self, there: bool) -> None:
        """Write the files again where a cleaner or the end of a login session has taken the runtime directory away."""
        if there or self._handed_over or self._look_again is None:
            return
        self._write_files()
        if not os.path.exists(self._server.info_file):  # told once, and not each minute
            self._look_again.cancel()
            self._look_again = None

    @property
    def _files(self) -> list[str]:
        """By which others find the server; they hold its token."""
        server = self._server
        return [server.info_file, server.browser_open_file, server.browser_open_file_to_run]

    def _note_files(self) -> None:
        """Those of a killed daemon go first: it may have had our process number, and with it our files' names."""
        if self._notes is None:
            return
        self._notes.sweep(notes_alone=True)
        for path in self._files:
            with suppress(OSError):
                self._notes.note(path)

    def stopService(self) -> Deferred[list[Any]]:
        """Accept no more; connections that are open stay."""
        super().stopService()
        if self._look_again is not None:
            self._look_again.cancel()
            self._look_again = None
        if not self._handed_over:
            self._notify.stopping()
        self._server.remove_server_info_file()
        self._server.remove_browser_open_files()
        if self._notes is not None:
            for path in self._files:
                self._notes.strike(path)
        self._opened = False
        return gatherResults([*self._close_main(), self._more.close()], consumeErrors=True)

    def _close_main(self) -> list[Deferred[Any]]:
        ports, self._ports = self._ports, []
        for listening in self._listening:
            listening.close()
        self._listening = []
        if self._unix is not None:
            self._unix.remove()
        return [maybeDeferred(port.stopListening) for port in ports]
