"""Listening, as settings: addresses, sockets, TLS, and how long clients may keep the server waiting."""

from __future__ import annotations

import ipaddress
import os
import socket
import stat
from typing import Any, cast

from jupyter_core.application import JupyterApp
from traitlets import Dict, Float, Integer, List, TraitError, Unicode, default, validate

from jupyterd import DEFAULT_JUPYTER_SERVER_PORT
from jupyterd.utils import expand_path
from jupyterd.web.server.timeouts import BODY_SECONDS, HEAD_SECONDS, IDLE_SECONDS, READER_SECONDS


class ListenTraits(JupyterApp):
    """Addresses, sockets and TLS, and time limits of connections.

    What a time limit ends is told to clients with 408 where an answer can still be given.
    """

    ip = Unicode(
        "localhost",
        config=True,
        help="""Address or host name to listen on, or several with commas between them, all on one port; a name that
        stands for several listens on each. IPv6 addresses may have brackets. '*' or empty: all addresses.""",
    )
    port_env = "JUPYTER_PORT"
    port_default_value = DEFAULT_JUPYTER_SERVER_PORT
    port = Integer(
        port_default_value, config=True, help="TCP port to listen on; 0 takes a free one. (env: JUPYTER_PORT)"
    )
    port_retries_env = "JUPYTER_PORT_RETRIES"
    port_retries_default_value = 50
    port_retries = Integer(
        port_retries_default_value,
        config=True,
        help="How many other ports are tried when this one is in use. (env: JUPYTER_PORT_RETRIES)",
    )
    sock = Unicode("", config=True, help="Path of a UNIX socket to listen on instead of a port.")
    sock_mode = Unicode("0600", config=True, help="Permissions of UNIX sockets, octal; at least 0600.")
    sock_group = Unicode(
        "", config=True, help="Group that UNIX sockets are given to, by name or number; the server's user is in it."
    )
    endpoints = List(
        Unicode(),
        config=True,
        help="""Where to listen too, beside ip and port, or sock: endpoint strings of Twisted, eight at most, such as
        tcp:8889:interface=10.0.0.5, ssl:8443:privateKey=key.pem:certKey=cert.pem, unix:/run/jupyter/b.sock:mode=660.
        certfile does not concern them: what is to be TLS says so (ssl:, tls:). The files that an ssl: string names are
        read again at SIGHUP.""",
    )
    certfile = Unicode("", config=True, help="File with the TLS certificate (PEM), and its chain.")
    keyfile = Unicode("", config=True, help="File with the certificate's private key (PEM).")
    client_ca = Unicode("", config=True, help="File with the authorities (PEM) that sign clients' certificates.")
    ssl_options = Dict(
        allow_none=True,
        config=True,
        help="More of TLS: certfile, keyfile, ca_certs, ciphers, cert_reqs, as for Python's ssl module.",
    )

    # -- time limits

    http_head_timeout = Float(
        HEAD_SECONDS,
        min=0.1,
        config=True,
        help="Seconds for a request's head; also for the whole body of somebody who is not known.",
    )
    http_body_timeout = Float(
        BODY_SECONDS, min=0.1, config=True, help="Seconds between two pieces of a known user's body."
    )
    http_idle_timeout = Float(IDLE_SECONDS, min=0.1, config=True, help="Seconds between two requests of a connection.")
    http_reader_timeout = Float(
        READER_SECONDS,
        min=0.1,
        config=True,
        help="""Seconds in which a client has to take some of an answer that waits for it (16 KiB, or all that is left).
        A download may take as long as it goes on.""",
    )
    http_max_waiting_connections = Integer(
        None,
        min=1,
        allow_none=True,
        config=True,
        help="""Connections without a request that was let in, at once. The one that has waited longest makes room for
        more. Default: 1024, or a quarter of the files that the process may open.""",
    )

    # -- defaults that depend on the machine

    @default("port")
    def _port_default(self) -> int:
        return _number_of(self.port_env, self.port_default_value)

    @default("port_retries")
    def _port_retries_default(self) -> int:
        return _number_of(self.port_retries_env, self.port_retries_default_value)

    @default("ip")
    def _ip_default(self) -> str:
        # There are machines without a working "localhost".
        try:
            with socket.socket() as probe:
                probe.bind(("localhost", 0))
        except OSError as error:
            self.log.warning("Cannot bind to localhost, using 127.0.0.1 as default ip\n%s", error)
            return "127.0.0.1"
        return "localhost"

    def listens_to_others(self) -> bool:
        """Whether somebody on another machine reaches it."""
        if self.endpoints:
            from jupyterd.supervision.addresses.endpoints import is_remote

            if any(map(is_remote, self.endpoints)):
                return True
        return any(map(_is_remote, self.ip.split(",")))

    # -- values that are not taken as they are

    @validate("ip")
    def _valid_ip(self, proposal: Any) -> str:
        ips = [ip.strip().removeprefix("[").removesuffix("]") for ip in proposal.value.split(",")]
        return "" if {"*", ""} & set(ips) else ",".join(ips)

    @validate("port")
    def _valid_port(self, proposal: Any) -> int:
        if not 0 <= proposal.value <= 65535:
            raise TraitError(f"invalid port: {proposal.value}, ports are 0 to 65535")
        return cast(int, proposal.value)

    @validate("sock_mode")
    def _valid_sock_mode(self, proposal: Any) -> str:
        try:
            mode = int(proposal.value, 8)
        except ValueError:
            raise TraitError(f'invalid --sock-mode value: {proposal.value}, please specify as e.g. "0600"') from None
        if mode & (stat.S_IRUSR | stat.S_IWUSR) != 0o600 or not 0 <= mode <= 0o7777:
            raise TraitError(f"invalid --sock-mode value: {proposal.value}, must have u+rw (0600) at a minimum")
        return cast(str, proposal.value)

    @validate("certfile", "keyfile", "client_ca")
    def _valid_file(self, proposal: Any) -> str | None:
        return absolute(proposal.value)

    @validate("sock")
    def _valid_sock(self, proposal: Any) -> str:
        if proposal.value[:1] == "@" or "\0" in proposal.value:
            raise TraitError(f"sock {proposal.value!r}: an abstract socket has no permissions, write a path (./@name)")
        return cast(str, absolute(proposal.value))


def absolute(path: str | None) -> str | None:
    """A path as it stays when the daemon changes its directory."""
    return os.path.abspath(expand_path(path)) if path else path


def _number_of(variable: str, otherwise: int) -> int:
    text = os.environ.get(variable, "")
    try:
        return int(text) if text else otherwise
    except ValueError:
        raise TraitError(f"{variable} is {text!r}, which is not a number") from None


def _is_remote(ip: str) -> bool:
    """Whether somebody on another machine reaches what listens on an address or a name; empty: on all."""
    if not ip:
        return True
    try:
        return not ipaddress.ip_address(ip).is_loopback
    except ValueError:
        return any(not _is_local(address) for address in _addresses(ip))


def _addresses(host: str) -> list[str]:
    try:
        return [str(info[4][0]) for info in socket.getaddrinfo(host, None, 0, socket.SOCK_STREAM)]
    except OSError:
        return []  # it can not be listened on either, which is told then


def _is_local(address: str) -> bool:
    parsed = ipaddress.ip_address(address.split("%")[0])
    # macOS gives "localhost" a link-local address of the loopback interface: fe80::1%lo0.
    return parsed.is_loopback or ("%" in address and parsed.is_link_local)
