"""A kernel's log gone on with: what a client has got already does not come again, and what it has not does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from jupyterd.keeper import record
from jupyterd.kernels.log import message_log
from jupyterd.kernels.log.settling import Place
from jupyterd.kernels.recovery.standin import FILE
from tests.kernels.channels.tabs import Tab
from tests.kernels.channels.test_executions_recalled import House


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def asked(house: House, tab: Tab, msg_id: str) -> bytes:
    """A client's request, which is written down."""
    cursor = house.kit.channels.attach(tab, "session")  # type: ignore[arg-type]
    header = orjson.dumps({"msg_id": msg_id, "msg_type": "execute_request", "session": "session", "version": "5.4"})
    house.kit.channels.send(cursor, "shell", [header, b"{}", b"{}", b'{"code": "x"}'])
    house.kernel.heard("shell")
    house.kit.site.reactor.advance(0.1)
    return header


def later(house: House, listened: bool = True) -> Tab:
    """The client comes back to the next daemon, which has heard the kernel on shell."""
    house.next(listened=listened)
    tab = Tab()
    house.kit.channels.attach(tab, "session")  # type: ignore[arg-type]
    house.kernel.answer_kernel_info()
    house.kit.site.reactor.pump([0.02] * 500)
    return tab


def replies(tab: Tab) -> list[Any]:
    contents = [orjson.loads(parts[3]) for channel, parts in tab.got if channel == b"shell"]
    return [content.get("ename", content["status"]) for content in contents]


def test_a_reply_that_a_client_has_got_and_that_was_not_on_disk_is_not_lost(house: House) -> None:
    tab = Tab()
    header = asked(house, tab, "m")
    house.kernel.reply("shell", "execute_reply", {"status": "ok"}, header)
    assert replies(tab) == ["ok"]
    assert replies(later(house)) == []
    assert replies(later(house)) == [], "the daemon after that knows it too"


def test_a_reply_that_a_client_had_not_got_is_told_to_be_lost_once(house: House) -> None:
    tab = Tab()
    header = asked(house, tab, "m")
    tab.blocked = True
    house.kernel.reply("shell", "execute_reply", {"status": "ok"}, header)
    assert replies(tab) == []
    again = later(house)
    assert replies(again) == ["ReplyLost"]
    assert replies(later(house)) == []


def test_it_is_the_reply_that_counts_and_not_what_else_a_client_got(house: House) -> None:
    tab = Tab()
    header = asked(house, tab, "m")
    house.kernel.say("stream", {"name": "stdout", "text": "a"}, header)
    assert replies(later(house)) == ["ReplyLost"]


def test_a_request_that_was_not_on_disk_yet_is_known_and_its_reply_told_to_be_lost(house: House) -> None:
    tab = Tab()
    cursor = house.kit.channels.attach(tab, "session")  # type: ignore[arg-type]
    for number in range(3):
        header = {"msg_id": f"m{number}", "msg_type": "execute_request", "session": "session", "version": "5.4"}
        parts = [orjson.dumps(header), b"{}", b"{}", b'{"code": "x"}']
        house.kit.channels.send(cursor, "shell", parts)  # type: ignore[arg-type]
    house.kernel.heard("shell")
    house.kernel.reply("shell", "execute_reply", {"status": "ok"}, orjson.dumps(header))
    assert replies(tab) == ["ok"]
    assert replies(later(house)) == ["ReplyLost", "ReplyLost"]
    assert replies(later(house)) == []


NOT_RUN = "[jupyterd] This cell was not run: the server ended before its kernel had got it.\n"
UNHEARD = "[jupyterd] The end of what this cell said is missing here: it was said faster than it could be read.\n"


@pytest.mark.parametrize(
    ("begun", "listened", "told"), [(False, True, NOT_RUN), (True, True, UNHEARD), (False, False, UNHEARD)]
)
def test_a_cell_that_never_reached_its_kernel_is_said_not_to_be_run(
    house: House, begun: bool, listened: bool, told: str
) -> None:
    """Unless the kernel was heard to begin with it, or nobody was there to hear."""
    header = asked(house, Tab(), "m")
    if begun:
        house.kernel.say("status", {"execution_state": "busy"}, header)
        house.go_by()
    tab = later(house, listened)
    assert replies(tab) == ["ReplyLost"]
    house.kit.site.reactor.pump([1.0] * 30)
    assert heard(tab) == told
    contents = [orjson.loads(parts[3]) for channel, parts in tab.got if channel == b"shell"]
    assert ("never got it" in contents[0]["evalue"]) == (told == NOT_RUN)


def test_a_cell_that_is_begun_after_all_is_not_said_to_be_unrun(house: House) -> None:
    header = asked(house, Tab(), "m")
    tab = later(house)
    house.kernel.say("status", {"execution_state": "busy"}, header)
    house.kit.site.reactor.pump([1.0] * 30)
    assert NOT_RUN not in heard(tab)


def says(house: House, texts: str) -> None:
    """The kernel says lines in one turn, which the keeper hears too."""
    batch = [house.kernel.message("stream", {"name": "stdout", "text": text}) for text in texts]
    packed = [record.pack(1.0, 0, [record.DELIMITER, *map(bytes, message)]) for message in batch]
    with (house.home / "spill" / FILE).open("ab") as file:
        file.writelines(each for each in packed if each is not None)
    house.kernel.sockets["iopub"].received([list(message) for message in batch])


def heard(tab: Tab) -> str:
    contents = [orjson.loads(parts[3]) for channel, parts in tab.got if channel == b"iopub"]
    return "".join(content["text"] for content in contents if "text" in content)


class Slow(Tab):
    """It takes one chunk, and nothing until it is told to."""

    def write(self, frames: Any) -> int:
        self.blocked = True
        return super().write(frames)


@pytest.mark.parametrize("reads", [1, 2, 3])
def test_what_a_client_has_of_what_was_not_on_disk_does_not_come_again(house: House, reads: int) -> None:
    """It may be behind what the kernel says."""
    tab = Slow()
    asked(house, tab, "m")
    cursor = next(iter(house.kit.channels.messages.attached))
    for texts in ("abc", "de", "fgh"):
        says(house, texts)
    for _ in range(reads):
        tab.blocked = False
        house.kit.channels.messages.pull(cursor)
    got = "abcdefgh"[: (0, 3, 5, 8)[reads]]
    assert heard(tab) == got
    assert heard(later(house)) == "abcdefgh"[len(got) :]
    assert heard(later(house)) == ""


def test_of_what_a_client_has_a_part_of_the_rest_comes_alone(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The place that was noted is the sixth of nine messages, of which the next two are there."""
    tab = Tab()
    cursor = house.kit.channels.attach(tab, "session")  # type: ignore[arg-type]
    says(house, "abcde")
    place = Place(cursor.position, cursor.said, cursor.position, 2, public=True)
    monkeypatch.setattr(message_log, "CODEC_JSON", Frames.codec)
    tab.blocked = True
    says(house, "fghi")
    messages = house.kit.channels.messages
    assert messages.cursor_file is not None
    messages.cursor_file.mark(cursor.slot, place)
    house.next()
    back = Frames()
    house.kit.channels.attach(back, "session")  # type: ignore[arg-type]
    assert "".join(back.got) == "hi"


class Codec:
    """Each message is a byte: its text, but for what is none."""

    name = None

    def encode(self, channel: bytes, messages: Any) -> list[str]:
        return [orjson.loads(parts[3]).get("text", "") for parts in messages]


class Frames(Tab):
    codec = Codec()  # type: ignore[assignment]
