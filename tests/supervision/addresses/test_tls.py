"""Certificates: which settings make a context, and what is said about files that do not."""

from __future__ import annotations

import datetime
import ssl
from contextlib import suppress
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL
from twisted.protocols.tls import TLSMemoryBIOFactory

from jupyterd.supervision.addresses.tls import BadCertificate, Certificates, EndpointCertificates, options_of


def certificate(home: Path, name: str = "localhost") -> tuple[str, str]:
    """A certificate of its own and its key, as files."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime(2020, 1, 1)
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number(), now)
        .not_valid_after(now + datetime.timedelta(days=36500))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    certfile, keyfile = home / f"{name}.pem", home / f"{name}.key"
    certfile.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    keyfile.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return str(certfile), str(keyfile)


def common_name(certificates: Certificates | EndpointCertificates) -> str:
    """Whose certificate a client is shown."""
    server = SSL.Connection(certificates.getContext())
    client = SSL.Connection(SSL.Context(SSL.TLS_METHOD))
    server.set_accept_state()
    client.set_connect_state()
    for _ in range(4):
        for one, other in ((client, server), (server, client)):
            with suppress(SSL.WantReadError):
                one.do_handshake()
            with suppress(SSL.WantReadError):
                other.bio_write(one.bio_read(65536))
    shown = client.get_peer_certificate(as_cryptography=True)
    assert shown is not None
    return str(shown.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value)


def test_settings_become_the_words_of_the_ssl_module() -> None:
    assert options_of("", "", "", None) == {}
    assert options_of("c", "k", "a", {"ciphers": "x", "certfile": "other"}) == {
        "certfile": "c",
        "keyfile": "k",
        "ca_certs": "a",
        "ciphers": "x",
    }


def test_a_certificate_is_shown_and_read_again(tmp_path: Path) -> None:
    certfile, keyfile = certificate(tmp_path, "one")
    certificates = Certificates({"certfile": certfile, "keyfile": keyfile})
    assert common_name(certificates) == "one"
    other = certificate(tmp_path, "two")
    Path(certfile).write_bytes(Path(other[0]).read_bytes())
    with pytest.raises(BadCertificate, match="key"):
        certificates.reload()
    assert common_name(certificates) == "one", "half a renewal changes nothing"
    Path(keyfile).write_bytes(Path(other[1]).read_bytes())
    certificates.reload()
    assert common_name(certificates) == "two"


def test_one_file_may_hold_both(tmp_path: Path) -> None:
    certfile, keyfile = certificate(tmp_path)
    both = tmp_path / "both.pem"
    both.write_text(Path(certfile).read_text() + Path(keyfile).read_text())
    assert common_name(Certificates({"certfile": str(both)})) == "localhost"


def test_clients_may_have_to_show_one(tmp_path: Path) -> None:
    certfile, keyfile = certificate(tmp_path)
    options = {"certfile": certfile, "keyfile": keyfile, "ca_certs": certfile}
    demanded = SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT
    assert Certificates(options).getContext().get_verify_mode() == demanded
    relaxed = Certificates({**options, "cert_reqs": ssl.CERT_OPTIONAL})
    assert relaxed.getContext().get_verify_mode() == SSL.VERIFY_PEER
    none = Certificates({**options, "cert_reqs": ssl.CERT_NONE})
    assert none.getContext().get_verify_mode() == SSL.VERIFY_NONE


@pytest.mark.parametrize("missing", ["certfile", "keyfile", "ca_certs"])
def test_a_file_that_is_none_is_named(tmp_path: Path, missing: str) -> None:
    certfile, keyfile = certificate(tmp_path)
    options = {"certfile": certfile, "keyfile": keyfile, missing: str(tmp_path / "nothing")}
    with pytest.raises(BadCertificate, match="nothing can not be used: "):
        Certificates(options)


def test_no_certificate_at_all() -> None:
    with pytest.raises(BadCertificate, match=r"set ServerApp\.certfile"):
        Certificates({"ciphers": "x"})


def test_twisted_takes_it(tmp_path: Path) -> None:
    certfile, keyfile = certificate(tmp_path)
    certificates = Certificates({"certfile": certfile, "keyfile": keyfile, "ciphers": "ECDHE+AESGCM"})
    assert TLSMemoryBIOFactory(certificates, False, None) is not None
