"""What the next daemon finds of what is in no file yet."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from twisted.internet.task import Clock

from jupyterd.outputs.kernel_record import KernelRecord
from jupyterd.outputs.ledger import ExecutionLedger
from jupyterd.outputs.settings import OutputRecorder
from jupyterd.state.store import StateStore
from jupyterd.testing.deferreds import at_once, result_of
from tests.outputs.daemon_in_memory import LOST, Kit, Page, cell, done, killed


def test_the_next_daemon_finds_what_is_in_no_file(tmp_path: Path) -> None:
    store = StateStore(":memory:")
    ledger = ExecutionLedger(lambda: store, at_once, Clock())
    kit = Kit(tmp_path, ledger=ledger)
    kit.put(cell("c1"), cell("c2"), cell("c3"))
    page = Page(kit, "one")
    held, first, second = page.run("c3"), page.run("c1"), page.run("c2")
    kit.ran(held, "held")
    kit.put(cell("c1"), cell("c2"), cell("c3", execution_count=1))
    kit.begin(first, 2)
    kit.say(first, "before ")
    kit.paths.clear()  # sessions are found later than kernels
    killed(kit, store)
    kit.paths.append("a.ipynb")
    assert [(each["cell_id"], each["state"]) for each in kit.executions()] == [("c1", "running"), ("c2", "queued")]
    page.leave()
    kit.say(first, "and after")
    kit.finish(first, 2)
    kit.ran(second, "second", 3)
    kit.pass_time(LOST + 10)
    assert kit.disk()[:2] == [(2, ["before and after"]), (3, ["second"])]
    assert store.executions() == []


@pytest.mark.parametrize("status", ["ok", "error"])
def test_what_the_log_tells_need_not_be_written_down(tmp_path: Path, status: str) -> None:
    store = StateStore(str(tmp_path / "state.db"))
    kit = Kit(tmp_path, ledger=ExecutionLedger(lambda: store, at_once, Clock()))
    kit.put(cell("c1"), cell("c2"))
    page = Page(kit, "one")
    ended, running = page.run("c1"), page.run("c2")
    kit.begin(ended)
    kit.say(ended, "x")
    kit.kernel.say("status", {"execution_state": "idle"}, ended)
    kit.kernel.reply("shell", "execute_reply", {"status": status, "execution_count": 1}, ended)
    kit.begin(running, 2)
    assert {row.state for row in store.executions()} == {"queued"}, "not yet"
    page.leave()
    killed(kit, store)
    assert [each["state"] for each in kit.executions()] == [status, "running"]
    kit.ran(running, "y", 2)
    kit.pass_time(LOST + 10)
    assert kit.disk() == [(1, ["x"]), (2, ["y"])]


def test_a_cell_whose_reply_only_its_page_has_got_is_over_with_its_idle(tmp_path: Path) -> None:
    store = StateStore(str(tmp_path / "state.db"))
    kit = Kit(tmp_path, ledger=ExecutionLedger(lambda: store, at_once, Clock()))
    kit.put(cell("c1"), cell("c2"))
    page = Page(kit, "one")
    header = page.run("c1")
    kit.begin(header)
    kit.say(header, "x")
    kit.channels._requests.asker(orjson.loads(header)["msg_id"], replied=True)  # and is not in the log
    page.leave()
    killed(kit, store)
    assert [each["state"] for each in kit.executions()] == ["running"]
    kit.kernel.say("status", {"execution_state": "idle"}, header)
    assert [each["state"] for each in kit.executions()] == ["ok"]
    kit.pass_time(LOST + 10)
    assert kit.disk()[0] == (1, ["x"])


@pytest.mark.parametrize(("session", "waited_for"), [("one", ["one"]), (None, [])])
def test_the_next_daemon_waits_for_who_can_come_back(
    tmp_path: Path, session: str | None, waited_for: list[str]
) -> None:
    """What runs a notebook on the server has no session; nor have some clients."""
    store = StateStore(str(tmp_path / "state.db"))
    ledger = ExecutionLedger(lambda: store, at_once, Clock())
    kit = Kit(tmp_path, ledger=ledger)
    kit.put(cell("c1"))
    Page(kit, session).run("c1")
    record = KernelRecord(kit.channels, kit.recorder, OutputRecorder(), at_once, kit.clock.seconds, ledger)
    done(record.restore())
    assert len(record.executions) == 1
    assert list(record.away) == waited_for


def test_pages_come_back_to_a_kernel_that_goes_on(tmp_path: Path) -> None:
    kit = Kit(tmp_path, kernels_stay=lambda: True)
    kit.put(cell("c1"), cell("c2"))
    page, other = Page(kit, "one"), Page(kit, "two")
    header, left = page.run("c1"), other.run("c2")
    other.leave()
    kit.ran(header, "x")
    kit.ran(left, "y", 2)
    result_of(kit.recorder.stopService())
    assert kit.disk() == [(None, []), (2, ["y"])]
