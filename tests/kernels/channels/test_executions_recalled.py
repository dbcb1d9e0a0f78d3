"""Executions over REST that outlive the daemon: what the next one knows of them, and hears."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from twisted.internet.defer import Deferred

from jupyterd.errors import Failed
from jupyterd.keeper import record
from jupyterd.kernels.channels import executions
from jupyterd.kernels.recovery.standin import FILE, Standin
from jupyterd.testing.deferreds import at_once, result_of
from tests.kernels.channels.tabs import Tab
from tests.kernels.channels.test_executions import RUN, Kit, texts


class NoKeeper:
    """A keeper that keeps nothing: what a test has it hear, the test writes down."""

    def say(self, op: str, **fields: Any) -> None:
        """Nobody hears it."""

    async def ask(self, op: str, **fields: Any) -> Any:
        raise Failed("there is no keeper")


class House:
    """Daemons of one server, one after the other, at one kernel."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.said: list[list[Any]] = []
        self.kit = self._kit()
        self.kernel = self.kit.kernel
        self.kit.begin()

    def _kit(self) -> Kit:
        standin = Standin(NoKeeper(), "k", str(self.home / "spill"), at_once, 0)  # type: ignore[arg-type]
        return Kit(str(self.home), standin=standin, connects=False)

    def post(self, **body: Any) -> tuple[dict[str, Any], Any]:
        """Hand in code; its model, and the request's header as the kernel has it."""
        model = self.kit.post(**body).json()
        ((_, header, _),) = self.kernel.heard("shell")
        return model, header

    def go_by(self) -> None:
        """What was said is written down."""
        self.kit.site.reactor.advance(1.0)

    def meanwhile(self, channel: str, msg_type: str, content: dict[str, Any], parent: Any) -> None:
        """The kernel says something that the keeper alone hears."""
        message = self.kernel.message(msg_type, content, parent)
        packed = record.pack(1.0, record.CHANNELS.index(channel.encode()), [record.DELIMITER, *map(bytes, message)])
        assert packed is not None
        with (self.home / "spill" / FILE).open("ab") as file:
            file.write(packed)

    def next(self, lives: bool = True, listened: bool = True) -> None:
        """The daemon is killed, and another one starts.

        :param listened: the keeper has heard the kernel meanwhile.
        """
        self.kit = self._kit()
        self.kit.kernel.key, self.kit.kernel._count = self.kernel.key, self.kernel._count
        self.kernel = self.kit.kernel
        result_of(
            Deferred.fromCoroutine(self.kit.channels.resume(self.kernel.info, lives=lives, listened=lives and listened))
        )
        if lives:
            self.kit.channels.connect(self.kernel.info)
        else:
            self.kit.channels.disconnect()

    def state(self, model: dict[str, Any]) -> Any:
        return self.kit.get(f"{RUN}/{model['id']}")


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def test_one_that_is_done_has_its_result(house: House) -> None:
    model, header = house.post(code="x")
    house.kit.run(header, ["a", "b"])
    before = house.state(model)
    house.next()
    assert house.state(model) == before
    assert before["status"] == "done"


def test_one_that_runs_goes_on(house: House) -> None:
    model, header = house.post(code="x")
    house.kit.run(header, ["a"], done=False)
    house.go_by()
    house.meanwhile("iopub", "stream", {"name": "stdout", "text": "b"}, header)
    house.next()
    assert house.state(model)["status"] == "running"
    house.kernel.say("stream", {"name": "stdout", "text": "c"}, header)
    house.kernel.reply("shell", "execute_reply", {"status": "ok"}, header)
    house.kernel.say("status", {"execution_state": "idle"}, header)
    house.kernel.answer_kernel_info()  # which comes behind the cell
    house.kit.site.reactor.pump([0.02] * 500)
    state = house.state(model)
    assert (state["status"], state["reply"], texts(state)) == ("done", {"status": "ok"}, ["a", "b", "c"])


def test_one_that_ended_while_no_daemon_was_there_is_done(house: House) -> None:
    model, header = house.post(code="x")
    house.kit.run(header, ["a"], done=False)
    house.go_by()
    house.meanwhile("shell", "execute_reply", {"status": "ok"}, header)
    house.meanwhile("iopub", "status", {"execution_state": "idle"}, header)
    house.next(lives=False)
    state = house.state(model)
    assert (state["status"], state["reply"], texts(state)) == ("done", {"status": "ok"}, ["a"])


def test_one_whose_kernel_ended_meanwhile_is_lost(house: House) -> None:
    model, header = house.post(code="x")
    house.kit.run(header, ["a"], done=False)
    house.go_by()
    house.next(lives=False)
    state = house.state(model)
    assert (state["status"], texts(state)) == ("lost", ["a"])


def test_a_reply_to_a_request_that_was_not_written_down_yet_reaches_who_asked(house: House) -> None:
    tab = Tab()
    cursor = house.kit.channels.attach(tab, "session")  # type: ignore[arg-type]
    header = orjson.dumps({"msg_id": "m", "msg_type": "execute_request", "session": "of another", "version": "5.4"})
    house.kit.channels.send(cursor, "shell", [header, b"{}", b"{}", b'{"code": "x"}'])
    house.kernel.heard("shell")
    (house.home / "spill").mkdir(exist_ok=True)
    house.meanwhile("shell", "execute_reply", {"status": "ok"}, header)
    house.next(lives=False)
    again = Tab()
    house.kit.channels.attach(again, "session")  # type: ignore[arg-type]
    replies = [parts for channel, parts in again.got if channel == b"shell"]
    assert [orjson.loads(parts[1])["msg_id"] for parts in replies] == ["m"]


def test_one_that_said_much_is_read_from_the_log(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executions, "COPIED", 10)
    model, header = house.post(code="x")
    house.kit.run(header, ["a", "b"])
    house.go_by()
    before = house.state(model)
    house.next()
    assert house.state(model) == before


def test_a_key_is_known_to_the_next_daemon(house: House) -> None:
    model, header = house.post(code="x", idempotency_key="once")
    house.next()
    again = house.kit.post(code="x", idempotency_key="once")
    assert (again.status, again.json()["id"]) == (200, model["id"])
    assert house.kit.post(code="y", idempotency_key="once").status == 409


def test_what_is_forgotten_stays_forgotten(house: House) -> None:
    model, header = house.post(code="x")
    house.kit.run(header)
    assert house.kit.site.request("DELETE", f"{RUN}/{model['id']}").status == 204
    house.next()
    assert house.kit.get(RUN) == []
    assert list((house.home / "spill" / "executions").iterdir()) == []


def test_what_can_not_be_read_is_left_out(house: House) -> None:
    model, header = house.post(code="x")
    house.kit.run(header)
    directory = house.home / "spill" / "executions"
    (directory / "cut.json").write_text('{"id": ')
    (directory / "other.json").write_text("[]")
    (directory / "older.json").write_text('{"id": "older"}')
    house.next()
    assert [each["id"] for each in house.kit.get(RUN)] == [model["id"]]


def test_the_result_is_kept_no_longer_than_without_a_restart(tmp_path: Path) -> None:
    house = House(tmp_path)
    model, header = house.post(code="x")
    house.kit.run(header)
    house.next()
    house.kit.site.reactor.advance(24 * 3600.0 + 1)
    assert house.kit.get(RUN) == []
