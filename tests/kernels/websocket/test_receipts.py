"""What a client has: by what the system says, by pongs, and by how the connection ends."""

from __future__ import annotations

from unittest.mock import Mock

import pytest
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from jupyterd.kernels.websocket import receipts, tls_records
from jupyterd.kernels.websocket.receipts import OverTLS, Receipts, proxied


class TCP:
    """A transport of Twisted's whose peer has confirmed nothing but what the test takes out."""

    dataBuffer, offset, _tempDataLen = b"", 0, 0

    def write(self, data) -> None:
        self.dataBuffer += data


class TLS:
    """Twisted's TLS, with records of five bytes more than their text."""

    def __init__(self, tcp) -> None:
        self.transport, self._appSendBuffer, self.busy = tcp, [], False

    def _write(self, data) -> None:
        if self.busy:
            self._appSendBuffer.append(data)
        else:
            self.transport.write(b"head:" + data)


@pytest.fixture
def tls():
    return TLS(TCP())


def test_a_record_of_tls_has_arrived_when_its_last_byte_has(tls) -> None:
    over = OverTLS(tls, tls.transport)
    tls._write(b"x" * 100)
    tls._write(b"y" * 50)
    assert over.unconfirmed(150) == 150
    tls.transport.offset = 104
    assert over.unconfirmed(150) == 150
    tls.transport.offset = 105
    assert over.unconfirmed(150) == 50
    tls.transport.offset = 160
    assert over.unconfirmed(150) == 0


def test_what_tls_keeps_for_later_is_counted_once(tls) -> None:
    over = OverTLS(tls, tls.transport)
    tls.busy = True
    tls._write(b"x" * 10)
    tls.busy = False
    waiting, tls._appSendBuffer = tls._appSendBuffer, []
    for data in waiting:
        tls._write(data)
    tls.transport.offset = len(tls.transport.dataBuffer)
    assert over.unconfirmed(10) == 0


def test_what_is_remembered_of_tls_is_bounded(tls) -> None:
    over = OverTLS(tls, tls.transport)
    for _ in range(3 * tls_records.RECORDS):
        tls._write(b"x")
        tls.transport.offset = len(tls.transport.dataBuffer)
    assert len(over.records._records) <= tls_records.RECORDS + 1
    assert over.unconfirmed(3 * tls_records.RECORDS) == 0


def test_each_record_of_tls_is_told_before_the_system_has_it(tls) -> None:
    records, told = OverTLS(tls, tls.transport).records, []
    tls._write(b"untold")
    records.noted = lambda encrypted, clear: told.append((encrypted, clear))
    tls._write(b"x" * (tls_records.RECORD + 10))
    assert told == [(11 + 5 + tls_records.RECORD, 6 + tls_records.RECORD), (records.encrypted, records.clear)]
    last = records.encrypted - told[0][0]
    assert [records.without(size) for size in (0, 1, last, last + 1)] == [records.clear, told[0][1], told[0][1], 6]
    assert records.without(records.encrypted) == 0


@pytest.mark.parametrize(("farewell", "left"), [(2, 0), (0, 10)])
def test_tls_that_ends_without_a_farewell_may_not_have_been_read(tls, farewell, left) -> None:
    tls._tlsConnection = Mock(get_shutdown=lambda: farewell)
    kit = Kit()
    kit.receipts._sent = OverTLS(tls, tls.transport)
    kit.receipts.written = 10
    tls._write(b"x" * 10)
    tls.transport.offset = len(tls.transport.dataBuffer)
    kit.receipts.ended(Failure(ConnectionDone()), False)
    assert kit.receipts.unconfirmed() == left


class Kit:
    def __init__(self, *, pongs_only=False, exact=True, unconfirmed=0) -> None:
        self.clock, self.pings = Clock(), []
        self.receipts = Receipts(object(), self.clock.seconds, lambda: 0, self.ping, pongs_only)
        self.receipts._pongs_only = pongs_only or not exact
        self.receipts._sent.unconfirmed = lambda given: unconfirmed

    def ping(self, payload) -> None:
        self.pings.append(payload)
        self.receipts.written += 2 + len(payload)

    def write(self, size, first=0) -> None:
        self.receipts.ahead(first or size)
        self.receipts.written += size
        self.receipts.behind()


@pytest.mark.parametrize(
    ("reason", "goodbye", "left"),
    [(ConnectionDone(), False, 30), (ConnectionAborted(), False, 30), (ConnectionLost(), False, 110),
     (ConnectionLost(), True, 30)],
)  # fmt: skip
def test_after_a_reset_the_system_is_not_believed(reason, goodbye, left) -> None:
    kit = Kit(unconfirmed=30)
    kit.write(100)
    kit.receipts.ended(Failure(reason), goodbye)
    kit.receipts.ended(Failure(ConnectionLost()), False)
    assert kit.receipts.unconfirmed() == left, "and what was known first stays"


def test_a_unix_socket_is_believed_when_it_ends_in_order() -> None:
    kit = Kit(exact=False)
    kit.write(100)
    assert kit.receipts.unconfirmed() == 110
    kit.receipts.ended(Failure(ConnectionDone()), False)
    assert kit.receipts.unconfirmed() == 0


def test_who_answers_the_ping_before_a_message_has_read_it() -> None:
    kit = Kit()
    kit.write(100, first=40)
    kit.receipts.pong(kit.pings[0])
    assert kit.receipts.unanswered() == 60


def test_pings_go_out_one_at_a_time_where_they_hardly_matter() -> None:
    kit = Kit()
    for _ in range(5):
        kit.write(100)
        kit.clock.advance(receipts.PAUSE)
    assert len(kit.pings) == 1
    kit.receipts.pong(kit.pings[0])
    kit.write(100)
    kit.receipts.pong(kit.pings[1])
    kit.write(100)
    assert len(kit.pings) == 2, "not so soon again"
    kit.write(receipts.MUCH)
    kit.write(1)
    assert len(kit.pings) == 3, "unless it is much"


def test_where_only_pongs_tell_each_frame_is_asked_about_up_to_a_bound() -> None:
    kit = Kit(pongs_only=True)
    for _ in range(100):
        kit.write(10)
    assert len(kit.pings) == receipts.UNANSWERED
    kit.receipts.pong(b"another's")
    kit.receipts.pong(kit.pings[-1])
    assert len(kit.pings) == receipts.UNANSWERED + 1
    kit.receipts.pong(kit.pings[-1])
    assert kit.receipts.unanswered() == 10, "the last ping itself"


def test_a_proxy_is_known_by_its_headers() -> None:
    assert proxied({"x-forwarded-for": "192.0.2.1"})
    assert not proxied({"host": "x", "upgrade": "websocket"})
