"""TLS for the ports, from the settings that Jupyter operators know; certificates are read anew when asked to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IOpenSSLContextFactory
from zope.interface import implementer

if TYPE_CHECKING:
    from OpenSSL.SSL import Context


SESSION = b"jupyterd"
"""Whose TLS sessions a client may take up again, with the certificate that it showed then."""


class BadCertificate(Exception):
    """A certificate, key or authority can not be used; one line for a person."""


def options_of(certfile: str, keyfile: str, client_ca: str, ssl_options: Mapping[str, Any] | None) -> dict[str, Any]:
    """The TLS settings in the words of Python's ssl module; empty where there is to be no TLS."""
    named = {"certfile": certfile, "keyfile": keyfile, "ca_certs": client_ca}
    return {**(ssl_options or {}), **{name: value for name, value in named.items() if value}}


@implementer(IOpenSSLContextFactory)
class Certificates:
    """Makes the TLS context of each new connection.

    :param options: certfile, keyfile, ca_certs, cert_reqs (0, 1, 2: none, optional, required), ciphers.
    :raises BadCertificate: a file is missing, is not PEM, or the key is of another certificate.
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options = options
        self._context = self._read()

    def getContext(self) -> Context:
        """The context as it was last read."""
        return self._context

    def reload(self) -> None:
        """Read the files again; connections made from now on use them.

        :raises BadCertificate: they can not be used; the old ones stay in use.
        """
        self._context = self._read()

    def _read(self) -> Context:
        from OpenSSL import SSL

        options = self._options
        certfile = options.get("certfile")
        if not certfile:
            raise BadCertificate("TLS needs a certificate: set ServerApp.certfile")
        context = SSL.Context(SSL.TLS_METHOD)
        context.set_options(SSL.OP_NO_COMPRESSION | SSL.OP_CIPHER_SERVER_PREFERENCE)
        context.set_min_proto_version(SSL.TLS1_2_VERSION)
        reading = certfile
        try:
            context.use_certificate_chain_file(certfile)
            reading = options.get("keyfile") or certfile
            context.use_privatekey_file(reading)
            context.check_privatekey()
            if options.get("ca_certs"):
                reading = options["ca_certs"]
                context.load_verify_locations(reading)
                context.set_verify(_demand(options.get("cert_reqs", 2)), _trust_openssl)
                context.set_session_id(SESSION)  # else a client that was here before is turned away
            if options.get("ciphers"):
                context.set_cipher_list(options["ciphers"].encode())
        except (SSL.Error, OSError) as error:
            raise BadCertificate(f"{reading} can not be used: {_reason(error)}") from error
        return context


@implementer(IOpenSSLContextFactory)
class EndpointCertificates:
    """TLS contexts of an endpoint string that names its files (``ssl:``); the files are read anew when asked to.

    :param first: what Twisted has made of the string.
    :param read: makes it again.
    """

    def __init__(self, first: Any, read: Callable[[], Any]) -> None:
        self._made, self._read = first, read

    def getContext(self) -> Context:
        """The context as it was last read."""
        context: Context = self._made.getContext()
        return context

    def reload(self) -> None:
        """As :meth:`Certificates.reload`."""
        made = self._read()
        made.getContext()  # reads no file, and finds a key that is of another certificate
        self._made = made


def _demand(cert_reqs: int) -> int:
    from OpenSSL import SSL

    if cert_reqs == 0:
        return SSL.VERIFY_NONE
    return SSL.VERIFY_PEER if cert_reqs == 1 else SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT


def _trust_openssl(_connection: Any, _certificate: Any, _error: int, _depth: int, verified: int) -> bool:
    return bool(verified)


def _reason(error: Exception) -> str:
    if error.args and isinstance(error.args[0], list):
        return "; ".join(str(entry[-1]) for entry in error.args[0]) or "no PEM in it"
    return str(error)
