"""One kernel's websocket: opened, lost, opened again, given up and taken up."""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from jupyterd.gateway.channel_sockets import LinkNetwork
from jupyterd.gateway.interfaces import Backoff, Place
from jupyterd.gateway.link import EARLY, Link
from jupyterd.gateway.repeated_messages import REMEMBERED, RepeatedMessages
from jupyterd.kernels.zeromq.network import Opening
from tests.gateway.theirs import Dial, TheirSocket

BACKOFF = Backoff(1.0, 5.0, 3, jitter=lambda: 0.5)
CHANNELS = ("iopub", "shell", "control", "stdin")


class Owner:
    """Whose kernel it is."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.asked = 0
        self.there: Any = True
        self.link: Link | None = None

    def linked(self, link: Link) -> None:
        self.link = link

    async def exists(self) -> bool:
        self.asked += 1
        if isinstance(self.there, Deferred):
            return bool(await self.there)
        if isinstance(self.there, Exception):
            raise self.there
        return bool(self.there)

    def gone(self) -> None:
        self.told.append("gone")

    def restarting(self) -> bool:
        self.told.append("restarting")
        return True

    def dead(self) -> bool:
        self.told.append("dead")
        return True


class Side:
    """A network whose gateway the test plays, and the four sockets that a kernel's channels open on it."""

    def __init__(self, backoff: Backoff = BACKOFF) -> None:
        self.clock = Clock()
        self.dial = Dial()
        self.owner = Owner()
        self.network = LinkNetwork(self.clock, self.dial, backoff, lambda: self)
        self.batches: list[tuple[str, list[Any]]] = []
        self.writable: list[str] = []
        self.others: list[str] = []
        self.connect(1)

    def connect(self, life: int) -> None:
        info = {"place": Place("there", "session", life, self.owner), "key": b""}
        self.sockets = {
            channel: self.network.open(
                Opening(
                    channel,
                    info,
                    b"identity %d" % life,
                    lambda batch, channel=channel: self.batches.append((channel, batch)),  # type: ignore[misc]
                    lambda channel=channel: self.writable.append(channel),  # type: ignore[misc]
                )
            )
            for channel in CHANNELS
        }

    def open(self, opening: Opening) -> str:
        """In place of ZeroMQ."""
        self.others.append(opening.channel)
        return "zmq"

    @property
    def link(self) -> Link:
        assert self.owner.link is not None
        return self.owner.link

    def send(self, msg_type: str, channel: str = "shell") -> bool:
        parts = [json.dumps({"msg_type": msg_type, "msg_id": msg_type}).encode(), b"{}", b"{}", b"{}"]
        return bool(self.sockets[channel].send([b"<IDS|MSG>", b"", *parts]))

    def heard(self) -> list[tuple[str, list[str]]]:
        """The channel and types of each batch since the last call."""
        batches, self.batches = self.batches, []
        return [(channel, [json.loads(each[1])["msg_type"] for each in batch]) for channel, batch in batches]

    def lose(self, socket: TheirSocket, too_large: bool = False) -> None:
        socket.end.lost("cut", too_large)


def test_four_channels_have_one_connection_and_messages_keep_their_order() -> None:
    side = Side()
    assert len(side.dial.opening) == 1
    theirs = side.dial.accept()
    assert (theirs.kernel_id, theirs.session) == ("there", "session")
    for channel, kind in (("iopub", "a"), ("iopub", "b"), ("shell", "c"), ("iopub", "d"), ("nonsense", "e")):
        theirs.end.received(channel, [json.dumps({"msg_type": kind}).encode(), b"{}", b"{}", b"{}", b"buffer"])
    assert side.heard() == [("iopub", ["a", "b"]), ("shell", ["c"])]
    theirs.end.turn()
    assert side.batches[0][1][0][0] == b""
    assert side.batches[0][1][0][5] == b"buffer"
    assert side.heard() == [("iopub", ["d"])]


def test_a_kernel_that_runs_here_has_zeromq() -> None:
    side = Side()
    assert side.network.open(Opening("iopub", {"ip": "127.0.0.1"}, b"", lambda _: None, lambda: None)) == "zmq"
    assert side.others == ["iopub"]


def test_the_servers_first_requests_wait_for_the_connection_and_no_more_than_these() -> None:
    side = Side()
    assert [side.send("kernel_info_request") for _ in range(EARLY + 1)] == [True] * EARLY + [False]
    theirs = side.dial.accept()
    assert theirs.types() == ["kernel_info_request"] * EARLY
    assert sorted(side.writable) == sorted(CHANNELS)


def test_a_gateway_that_reads_slowly_is_waited_for() -> None:
    side = Side()
    theirs = side.dial.accept()
    side.writable.clear()
    theirs.full = True
    assert not side.send("execute_request")
    theirs.full = False
    theirs.end.room()
    assert "shell" in side.writable
    assert side.send("execute_request")


def test_a_paused_kernel_stays_paused_over_a_new_connection() -> None:
    side = Side()
    side.sockets["iopub"].pause()
    theirs = side.dial.accept()
    assert not theirs.reading
    side.sockets["iopub"].resume()
    assert theirs.reading


def test_a_lost_connection_is_opened_again_later_and_later_with_the_same_session() -> None:
    side = Side()
    side.lose(side.dial.accept())
    pauses = []
    for pause in (1.5, 2.5, 4.5):
        side.clock.advance(pause - 0.1)
        assert not side.dial.opening
        assert not side.send("execute_request")
        side.clock.advance(0.2)
        pauses.append(side.dial.opening[0][1].session)
        side.dial.refuse()
    assert pauses == ["session"] * 3
    side.clock.advance(1000)
    assert not side.dial.opening
    assert side.owner.told == []
    side.link.wake()
    side.link.wake()
    side.dial.refuse()
    side.clock.advance(1000)
    assert not side.dial.opening
    side.link.wake()
    theirs = side.dial.accept()
    assert side.send("execute_request")
    assert theirs.types() == ["execute_request"]


def test_pauses_have_a_limit_and_are_never_equal_for_all() -> None:
    assert [Backoff(1.0, 30.0, 99, lambda: 0.0).pause(number) for number in (0, 1, 4, 5, 98)] == [1, 2, 16, 30, 30]
    assert Backoff(1.0, 30.0, 5).pause(5) is None
    assert len({Backoff(1.0, 30.0, 5).pause(0) for _ in range(20)}) > 1


def test_a_connection_that_lasted_begins_anew_and_one_that_did_not_goes_on() -> None:
    side = Side()
    side.lose(side.dial.accept())
    side.clock.advance(1.5)
    side.lose(side.dial.accept())
    side.clock.advance(1.5)
    assert not side.dial.opening
    side.clock.advance(1.0)
    theirs = side.dial.accept()
    side.clock.advance(10.0)
    side.lose(theirs)
    side.clock.advance(1.5)
    assert side.dial.opening


def test_a_kernel_that_the_gateway_does_not_have_is_gone() -> None:
    side = Side()
    side.owner.there = False
    side.dial.refuse("404")
    assert side.owner.told == ["gone"]
    side.clock.advance(100)
    assert not side.dial.opening


def test_a_gateway_that_can_not_be_asked_says_nothing_about_the_kernel() -> None:
    side = Side()
    side.owner.there = OSError()
    side.dial.refuse()
    assert side.owner.told == []
    side.clock.advance(1.5)
    assert side.dial.opening


def test_what_closes_meanwhile_stays_closed() -> None:
    side = Side()
    for socket in side.sockets.values():
        socket.close()
    assert side.dial.cancelled == 1
    side = Side()
    theirs = side.dial.accept()
    side.owner.there = Deferred()
    side.lose(theirs)
    for socket in side.sockets.values():
        socket.close()
    side.clock.advance(100)
    assert not side.dial.opening
    side = Side()
    theirs = side.dial.accept()
    for socket in side.sockets.values():
        socket.close()
    assert theirs.left
    theirs.say("iopub", "stream", {})
    assert not side.batches


def test_a_message_that_was_too_large_is_not_asked_for_again() -> None:
    side = Side()
    side.lose(side.dial.accept(), too_large=True)
    side.clock.advance(1.5)
    assert side.dial.opening[0][1].session != "session"


def test_what_the_gateway_says_of_the_kernel_is_told_to_its_owner() -> None:
    side = Side()
    theirs = side.dial.accept()
    theirs.say("iopub", "stream", {"text": '"dead"'})
    theirs.say("iopub", "status", {"execution_state": "busy"})
    theirs.say("iopub", "status", {"execution_state": "restarting"})
    theirs.say("iopub", "status", {"execution_state": "dead"})
    assert side.owner.told == ["restarting", "dead"]
    assert side.heard() == [("iopub", ["stream"]), ("iopub", ["status"])]


def test_nothing_is_sent_while_the_kernel_is_restarted() -> None:
    side = Side()
    theirs = side.dial.accept()
    side.link.held = True
    assert not side.send("execute_request")
    theirs.say("iopub", "stream", {})
    assert side.heard() == [("iopub", ["stream"])]


def test_what_is_said_again_has_been_heard_already() -> None:
    side = Side()

    def say(socket: TheirSocket, *ids: str) -> None:
        for msg_id in ids:
            socket.end.received("iopub", [header(msg_id), b"{}", b"{}", b"{}"])
        socket.end.turn()

    def ids() -> list[str]:
        batches, side.batches = side.batches, []
        return [json.loads(each[1])["msg_id"] for _, batch in batches for each in batch]

    theirs = side.dial.accept()
    say(theirs, "a", "b", "b")  # what a kernel says twice it says twice
    for pause in (1.5, 2.5):
        side.lose(theirs)
        side.clock.advance(pause)
        theirs = side.dial.accept()
        say(theirs, "a", "b", f"after {pause}")
    assert ids() == ["a", "b", "b", "after 1.5", "after 2.5"]


def test_no_more_repeats_are_remembered_than_there_may_be() -> None:
    repeats = RepeatedMessages()
    for connection in range(5):
        for number in range(REMEMBERED + 10):
            assert not repeats.is_one(b"%d-%d" % (connection, number))
        repeats.connecting()
        assert repeats.is_one(b"%d-%d" % (connection, REMEMBERED))
        assert len(repeats._earlier) <= 2 * REMEMBERED


# -- what a lost connection swallowed


def header(msg_id: str) -> bytes:
    return json.dumps({"msg_type": "x", "msg_id": msg_id}).encode()


def test_a_request_that_did_not_arrive_is_answered_with_an_error() -> None:
    side = Side()
    theirs = side.dial.accept()
    side.send("execute_request")
    side.send("complete_request")
    side.send("history_request")
    side.send("comm_msg")
    theirs.say("iopub", "status", {"execution_state": "busy"}, header("history_request"))
    side.lose(theirs)
    side.clock.advance(1.5)
    theirs = side.dial.accept()
    probe = theirs.sent[0][1][0]
    assert theirs.types() == ["kernel_info_request"]
    theirs.say("iopub", "status", {"execution_state": "busy"}, probe)
    side.heard()
    theirs.say("shell", "kernel_info_reply", {}, probe)
    batches, side.batches = side.batches, []
    said = [
        (channel, json.loads(each[1])["msg_type"], json.loads(each[2])["msg_id"])
        for channel, batch in batches
        for each in batch
    ]
    assert said == [
        ("iopub", "error", "execute_request"),
        ("shell", "execute_reply", "execute_request"),
        ("iopub", "status", "execute_request"),
        ("shell", "complete_reply", "complete_request"),
        ("iopub", "status", "complete_request"),
    ]
    reply = json.loads(batches[1][1][0][4])
    assert (reply["status"], reply["ename"]) == ("error", "GatewayConnectionLost")


def test_a_request_that_did_arrive_is_not() -> None:
    side = Side()
    theirs = side.dial.accept()
    side.send("execute_request")
    side.lose(theirs)
    side.clock.advance(1.5)
    theirs = side.dial.accept()
    probe = theirs.sent[0][1][0]
    theirs.say("iopub", "status", {"execution_state": "busy"}, header("execute_request"))
    theirs.say("shell", "kernel_info_reply", {}, probe)
    assert side.heard() == [("iopub", ["status"])]


def test_a_connection_that_is_lost_again_leaves_the_doubt() -> None:
    side = Side()
    theirs = side.dial.accept()
    side.send("execute_request")
    for pause in (1.5, 2.5):
        side.lose(theirs)
        side.clock.advance(pause)
        theirs = side.dial.accept()
    theirs.say("shell", "kernel_info_reply", {}, theirs.sent[0][1][0])
    assert [kinds for _, kinds in side.heard()] == [["error"], ["execute_reply"], ["status"]]


def test_without_a_doubt_nothing_is_asked() -> None:
    side = Side()
    theirs = side.dial.accept()
    side.send("execute_request")
    theirs.say("shell", "execute_reply", {}, header("execute_request"))
    side.lose(theirs)
    side.clock.advance(1.5)
    assert side.dial.accept().sent == []
