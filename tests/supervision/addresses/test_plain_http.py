"""Plain HTTP on a TLS port: led to the right address, or told; TLS itself is not touched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from OpenSSL import SSL
from twisted.internet.protocol import Factory as Plain
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from jupyterd.supervision.addresses.plain_http import MAX_HEAD, Factory, answer
from jupyterd.supervision.addresses.tls import Certificates
from tests.supervision.addresses.test_tls import certificate


def connected(home: Path) -> tuple[Any, StringTransport]:
    cert, key = certificate(home)
    factory = Factory(Certificates({"certfile": cert, "keyfile": key}), False, Plain.forProtocol(Protocol), Clock())
    transport = StringTransport()
    protocol = factory.buildProtocol(None)
    protocol.makeConnection(transport)
    return protocol, transport


def test_a_page_is_found_again_over_tls(tmp_path: Path) -> None:
    protocol, transport = connected(tmp_path)
    for piece in (b"GE", b"T /lab/tree/a?x=1 HTTP/1.1\r\nHost: example.org:8888\r\n", b"\r\n"):
        assert transport.value() == b""
        protocol.dataReceived(piece)
    head = transport.value().partition(b"\r\n\r\n")[0].split(b"\r\n")
    assert head[0] == b"HTTP/1.1 307 Temporary Redirect"
    assert b"Location: https://example.org:8888/lab/tree/a?x=1" in head
    assert transport.disconnecting
    protocol.dataReceived(b"more")
    assert transport.value().count(b"HTTP/1.1") == 1


def test_a_head_without_an_end_is_not_kept(tmp_path: Path) -> None:
    protocol, transport = connected(tmp_path)
    protocol.dataReceived(b"GET /" + b"x" * MAX_HEAD)
    assert transport.value().startswith(b"HTTP/1.1 400 ")
    assert transport.disconnecting


def test_tls_is_tls(tmp_path: Path) -> None:
    protocol, transport = connected(tmp_path)
    client = SSL.Connection(SSL.Context(SSL.TLS_METHOD))
    client.set_connect_state()
    with pytest.raises(SSL.WantReadError):
        client.do_handshake()
    hello = client.bio_read(65536)
    protocol.dataReceived(hello[:1])
    protocol.dataReceived(hello[1:])
    client.bio_write(transport.value())
    client.do_handshake()
    assert not transport.disconnecting


@pytest.mark.parametrize(
    "head",
    [
        b"POST / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: user@a\r\n\r\n",
        b"SSH-2.0-x\r\n\r\n",
    ],
)
def test_what_has_no_such_page_gets_a_sentence(head: bytes) -> None:
    assert answer(head).startswith(b"HTTP/1.1 400 ")
    assert answer(head).endswith(b"This port speaks HTTPS: write https:// before the address.\n")


@given(st.binary(max_size=300), st.binary(max_size=100))
def test_no_request_writes_a_header_of_ours(path: bytes, host: bytes) -> None:
    head = answer(b"GET /" + path + b" HTTP/1.1\r\nHost: " + host + b"\r\n\r\n").partition(b"\r\n\r\n")[0]
    names = [line.partition(b":")[0] for line in head.split(b"\r\n")[1:]]
    names = names[names[0] == b"Location" :]
    assert names == [b"Content-Type", b"X-Content-Type-Options", b"Cache-Control", b"Content-Length", b"Connection"]
