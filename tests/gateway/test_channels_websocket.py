"""The client's websocket against our own server's, in memory: both protocols, refusals, garbage, flow."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure

from jupyterd.errors import NotFound
from jupyterd.gateway.channels_websocket import Dialer, GatewayProtocol
from jupyterd.kernels.channels.kernel_channels import KernelChannels
from jupyterd.kernels.channels.settings import ZMQChannelsWebsocketConnection
from jupyterd.kernels.websocket.resource import ChannelsResource
from jupyterd.testing.deferreds import allowed, at_once
from jupyterd.testing.http import MemorySite, MemoryTransport
from jupyterd.testing.kernel_sockets import MemoryKernel
from tests.gateway.theirs import Kit, outcome
from tests.kernels.channels.tabs import Watch

PARTS = [b'{"msg_id": "m", "msg_type": "comm_msg"}', b"{}", b'{"a": 1}', b'{"b": "\xc3\xa9"}']


class Ear:
    """What the link would be told."""

    def __init__(self) -> None:
        self.got: list[tuple[str, list[bytes]]] = []
        self.turns = self.rooms = 0
        self.ends: list[tuple[str, bool]] = []

    def received(self, channel: str, parts: Any) -> None:
        self.got.append((channel, [bytes(part) for part in parts]))

    def turn(self) -> None:
        self.turns += 1

    def room(self) -> None:
        self.rooms += 1

    def lost(self, why: str, too_large: bool) -> None:
        self.ends.append((why, too_large))


class Ours(Dialer):
    """Dials a site in memory."""

    site: MemorySite

    def _endpoint(self, factory: Any, socket: str) -> Any:
        return self

    def connect(self, factory: Any) -> Deferred[GatewayProtocol]:
        self.protocol = factory.buildProtocol(None)
        self.ours = MemoryTransport()
        self.theirs = self.site.connect()
        self.protocol.makeConnection(self.ours)
        return succeed(self.protocol)

    def lose(self) -> None:
        """The connection ends."""
        for protocol in (self.protocol, self.theirs.transport.protocol or self.theirs.protocol):
            protocol.connectionLost(Failure(ConnectionDone()))

    def pump(self) -> None:
        """Carry bytes both ways until there are none."""
        moved = True
        while moved:
            there, back = self.ours.value(), self.theirs.transport.value()
            self.ours.clear()
            if there:
                self.theirs.send(there)
            if back:
                self.theirs.received()
                self.protocol.dataReceived(back)
            moved = bool(there or back)


class Both:
    """A gateway's kernel and a client of it."""

    def __init__(self, directory: Path, protocol: str | None = None, **traits: Any) -> None:
        self.kit = Kit(auth_token="secret", headers='{"X-A": "1"}', **traits)
        self.kernel = MemoryKernel()
        self.site = MemorySite()
        self.channels = KernelChannels(
            "there",
            reactor=self.site.reactor,
            settings=ZMQChannelsWebsocketConnection(kernel_ws_protocol=protocol),
            in_thread=at_once,
            spill_dir=str(directory / "spill"),
            observer=Watch(),
            network=self.kernel,
        )
        self.channels.connect(self.kernel.info)
        self.kernel.answer_kernel_info()
        self.asked: list[Any] = []
        resource = ChannelsResource(self._channels_of, allowed).app.resource()
        self.site.root.mount("/api/kernels/*/channels", lambda: resource, auth="kernels", websocket=True)
        self.ear = Ear()
        self.dialer = Ours(self.site.reactor, self.kit.settings, self.kit.credentials, None, (30.0, 30.0))
        self.dialer.site = self.site

    def _channels_of(self, kernel_id: str) -> KernelChannels:
        self.asked.append(kernel_id)
        if kernel_id != "there":
            raise NotFound("no such kernel")
        return self.channels

    def dial(self, kernel_id: str = "there") -> list[Any]:
        found = outcome(Deferred.fromCoroutine(self.dialer.dial(kernel_id, "s", self.ear)))
        self.dialer.pump()
        return found


@pytest.fixture(params=[None, ""], ids=["v1", "json"])
def both(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Both]:
    made = Both(tmp_path, request.param)
    yield made
    made.channels.close()


def test_messages_pass_both_ways_with_buffers(both: Both) -> None:
    (protocol,) = both.dial()
    for buffers in ([], [b"\0\1", b"x" * 70_000]):
        protocol.send_message("shell", [*PARTS, *buffers])
        both.dialer.pump()
        (sent,) = both.kernel.sockets["shell"].sent[-1:]
        assert [json.loads(part) for part in sent[2:6]] == [json.loads(part) for part in PARTS]
        assert [bytes(part) for part in sent[6:]] == buffers
        both.kernel.say("comm_msg", {"é": 1}, b'{"msg_id": "m"}', buffers)
        both.dialer.pump()
        channel, parts = both.ear.got[-1]
        assert (channel, json.loads(parts[3]), parts[1], parts[4:]) == ("iopub", {"é": 1}, b'{"msg_id": "m"}', buffers)
    assert both.ear.turns >= 2


def test_credentials_and_the_session_are_shown(both: Both) -> None:
    both.dial()
    head = both.dialer.protocol.http_request_data.decode()
    assert "GET /api/kernels/there/channels?session_id=s HTTP/1.1" in head
    assert "Authorization: token secret" in head
    assert "X-A: 1" in head
    assert "Origin" not in head
    assert [cursor.session for cursor in both.channels.messages.attached] == ["s"]


def test_a_kernel_that_is_not_there(both: Both) -> None:
    found = both.dial("other")
    both.dialer.lose()
    (error,) = found
    assert "404" in str(error)
    assert both.ear.ends == []


def test_an_end_is_told_once(both: Both) -> None:
    both.dial()
    both.dialer.lose()
    assert len(both.ear.ends) == 1
    assert not both.ear.ends[0][1]


def test_who_leaves_is_told_nothing(both: Both) -> None:
    (protocol,) = both.dial()
    protocol.leave()
    both.dialer.pump()
    both.dialer.lose()
    assert both.channels.connections == 0
    assert both.ear.ends == []


def test_garbage_ends_the_connection(both: Both) -> None:
    both.dial()
    both.dialer.protocol.dataReceived(b"\x82\x05\0\0\0\0\0")
    assert both.dialer.ours.disconnected
    both.dialer.lose()
    assert len(both.ear.ends) == 1


def test_what_is_too_large_is_told_apart(tmp_path: Path) -> None:
    both = Both(tmp_path, max_message_size=1000)
    both.dial()
    both.kernel.say("stream", {"text": "x" * 2000})
    both.dialer.pump()
    both.dialer.lose()
    assert [large for _, large in both.ear.ends] == [True]
    both.channels.close()


def test_a_full_connection_says_so(both: Both) -> None:
    (protocol,) = both.dial()
    both.dialer.ours.producer.pauseProducing()
    assert protocol.full
    both.dialer.ours.producer.resumeProducing()
    assert (protocol.full, both.ear.rooms) == (False, 1)


def test_reading_can_be_paused(both: Both) -> None:
    (protocol,) = both.dial()
    protocol.pause_client()
    assert both.dialer.ours.producerState == "paused"
    protocol.resume_client()
    assert both.dialer.ours.producerState == "producing"


def test_giving_up_before_it_is_open(both: Both) -> None:
    opening = Deferred.fromCoroutine(both.dialer.dial("there", "s", both.ear))
    found = outcome(opening)
    opening.cancel()
    assert both.dialer.ours.disconnected
    assert len(found) == 1
    both.dialer.lose()
    assert both.ear.ends == []
