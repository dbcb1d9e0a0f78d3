"""TLS to the gateway: its certificate is checked against the right authorities, ours is shown where there is one."""

from __future__ import annotations

import re
from typing import Any, Protocol

from OpenSSL import SSL, crypto
from twisted.internet.error import VerifyError
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.ssl import (
    Certificate,
    CertificateOptions,
    KeyPair,
    PrivateCertificate,
    optionsForClientTLS,
    trustRootFromCertificates,
)
from twisted.web.iweb import IPolicyForHTTPS
from zope.interface import implementer

_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


class BadCredentials(Exception):
    """A certificate, key or authority for the gateway can not be used; one line for a person."""


class Files(Protocol):
    """Which files; ``GatewayClient`` has them."""

    client_cert: str | None
    client_key: str | None
    ca_certs: str | None
    validate_cert: bool


@implementer(IPolicyForHTTPS)
class GatewayPolicy:
    """Makes the TLS side of each connection to the gateway.

    :raises BadCredentials: a file is missing, holds no PEM, or the key is of another certificate.
    """

    def __init__(self, files: Files) -> None:
        self._validate = files.validate_cert
        self._trust: Any = None
        self._ours: Any = None
        self._chain: list[Any] = []
        if files.ca_certs:
            self._trust = trustRootFromCertificates(_certificates(files.ca_certs))
        if files.client_cert:
            first, *rest = _certificates(files.client_cert)
            self._chain = [each.original for each in rest]
            self._ours = _with_key(first, files.client_key or files.client_cert)
        options = dict(self._extra)
        if self._ours is not None:
            options.update(privateKey=self._ours.privateKey.original, certificate=self._ours.original)
        self._unchecked = CertificateOptions(**options)

    @property
    def _extra(self) -> dict[str, Any]:
        return {"extraCertChain": self._chain} if self._chain else {}

    def creatorForNetloc(self, hostname: bytes, port: int) -> Any:
        """See :class:`IPolicyForHTTPS`."""
        name = hostname.decode("ascii")
        if not self._validate:
            return _Unchecked(self._unchecked.getContext(), name)
        return optionsForClientTLS(
            name, trustRoot=self._trust, clientCertificate=self._ours, extraCertificateOptions=self._extra
        )


@implementer(IOpenSSLClientConnectionCreator)
class _Unchecked:
    """Whoever answers is taken for the gateway: the operator said so."""

    def __init__(self, context: Any, name: str) -> None:
        self._context = context
        self._name = name

    def clientConnectionForTLS(self, protocol: Any) -> Any:
        connection = SSL.Connection(self._context, None)
        connection.set_app_data(protocol)
        connection.set_tlsext_host_name(self._name.encode("ascii"))
        return connection


def _certificates(path: str) -> list[Any]:
    found = _PEM.findall(_read(path))
    try:
        certificates = [Certificate.loadPEM(pem) for pem in found]
    except (crypto.Error, ValueError) as error:
        raise BadCredentials(f"{path} holds a certificate that can not be read") from error
    if not certificates:
        raise BadCredentials(f"{path} holds no certificate")
    return certificates


def _with_key(certificate: Any, path: str) -> Any:
    try:
        key = KeyPair.load(_read(path), crypto.FILETYPE_PEM)
        return PrivateCertificate.fromCertificateAndKeyPair(certificate, key)
    except VerifyError as error:
        raise BadCredentials(f"{path} is the key of another certificate") from error
    except (crypto.Error, ValueError, TypeError) as error:
        raise BadCredentials(f"{path} holds no key that can be read") from error


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise BadCredentials(f"{path}: {error.strerror}") from error
