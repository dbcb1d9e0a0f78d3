"""Notebooks run on the server, in order, one run after the other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jupyterd.errors import Invalid
from jupyterd.outputs.ledger import RunLedger, run_of
from jupyterd.outputs.runs import runs as runs_module
from jupyterd.outputs.runs.parameters import code_of, inject
from jupyterd.state.store import StateStore
from jupyterd.testing.deferreds import at_once
from tests.outputs.daemon_in_memory import PATH, Kit, Page, cell, done

RUN, RUNS = f"{PATH}/run", f"{PATH}/runs"


@pytest.fixture
def kit(tmp_path: Path) -> Kit:
    made = Kit(tmp_path)
    made.put(cell("c1", "one"), {"id": "m", "cell_type": "markdown", "metadata": {}, "source": "x"}, cell("c2", "two"))
    return made


def start(kit: Kit, status: int = 202, headers: Any = None, **body: Any) -> Any:
    answer = kit.site.request("POST", RUN, json_body=body, headers=headers)
    assert answer.status == status, answer
    return answer.json()


def state(kit: Kit, run: Any) -> Any:
    return kit.get(f"{RUNS}/{run['id']}")


def step(kit: Kit, code: str, text: str, count: int = 1, status: str = "ok", **more: Any) -> None:
    """The kernel's part in a cell."""
    ((header, asked),) = kit.asked()
    assert asked == code
    kit.begin(header, count)
    kit.say(header, text)
    kit.finish(header, count, status, **more)


def test_cells_are_run_in_order_one_after_the_other_and_recorded(kit: Kit) -> None:
    answer = kit.site.request("POST", RUN, json_body={})
    run = answer.json()
    assert answer.header("location") == f"{RUNS}/{run['id']}"
    assert (run["state"], run["total"], [each["cell_id"] for each in run["cells"]]) == ("running", 2, ["c1", "c2"])
    step(kit, "one", "a")
    now = state(kit, run)
    assert (now["done"], [each["state"] for each in now["cells"]]) == (1, ["ok", "running"])
    step(kit, "two", "b", 2)
    ended = state(kit, run)
    assert (ended["state"], ended["recorded"], ended["error"]) == ("ok", True, None)
    assert [each["execution_count"] for each in ended["cells"]] == [1, 2]
    import json

    cells = json.loads((kit.root / "a.ipynb").read_text())["cells"]
    assert [each["outputs"][0]["text"] for each in cells if each["cell_type"] == "code"] == [["a"], ["b"]]
    told = [(data["state"], data["done"]) for schema, data in kit.events if "notebook_run" in schema]
    assert told == [
        ("queued", 0), ("starting", 0), ("running", 0), ("running", 0), ("running", 1), ("running", 1), ("running", 2),
        ("ok", 2),
    ]  # fmt: skip
    assert kit.channels.executions.all() == []


def test_the_first_failure_ends_it_or_does_not(kit: Kit) -> None:
    failure = {"ename": "E", "evalue": "v", "traceback": ["t"]}
    run = start(kit)
    step(kit, "one", "a", status="error", **failure)
    ended = state(kit, run)
    assert (ended["state"], [each["state"] for each in ended["cells"]]) == ("error", ["error", "skipped"])
    assert ended["error"] == {**failure, "cell_id": "c1", "index": 0}
    assert kit.asked() == []
    run = start(kit, stop_on_error=False)
    step(kit, "one", "a", status="error", **failure)
    step(kit, "two", "b")
    assert [each["state"] for each in state(kit, run)["cells"]] == ["error", "ok"]


def test_tags_say_that_a_cell_is_not_run_or_may_raise(kit: Kit) -> None:
    kit.put(
        cell("c1", "one", metadata={"tags": ["raises-exception"]}),
        cell("c2", "two", metadata={"tags": ["skip-execution"]}),
        cell("c3", " "), cell("c4", "four"),
    )  # fmt: skip
    run = start(kit)
    step(kit, "one", "a", status="error", ename="E")
    step(kit, "four", "b")
    assert state(kit, run)["state"] == "ok"


@pytest.mark.parametrize(
    ("body", "cells"),
    [
        ({"cells": ["c2"]}, ["c2"]),
        ({"cells": [0]}, ["c1"]),
        ({"from": "c2"}, ["c2"]),
        ({"from": 1}, ["c2"]),
        ({"cells": [1]}, []),
    ],
)
def test_some_cells(kit: Kit, body: Any, cells: list[str]) -> None:
    assert [each["cell_id"] for each in start(kit, **body)["cells"]] == cells


@pytest.mark.parametrize(
    "body",
    [
        {"cells": ["nope"]}, {"cells": [9]}, {"cells": "c1"}, {"cells": [True]}, {"from": 1.5}, {"unknown": 1},
        {"cells": [], "from": 1}, {"stop_on_error": 1}, {"kernel_name": 1}, {"parameters": []},
        {"parameters": {"not a name": 1}}, {"idempotency_key": 1},
    ],
)  # fmt: skip
def test_what_is_no_order_is_refused(kit: Kit, body: Any) -> None:
    start(kit, 400, **body)
    assert kit.get(RUNS) == []


def test_paths_and_methods(kit: Kit) -> None:
    ask = kit.site.request
    assert ask("POST", "/api/contents/nope.ipynb/run", json_body={}).status == 404
    assert ask("GET", f"{RUNS}/nope").status == 404
    assert ask("GET", RUN).status == 405
    assert ask("POST", RUNS, json_body={}).status == 405
    (kit.root / "run").mkdir()
    assert ask("GET", "/api/contents/run").json()["type"] == "directory", "a name like any other elsewhere"
    kit.may_execute = False
    assert ask("POST", RUN, json_body={}).status == 403


def test_several_runs_wait_for_each_other(kit: Kit) -> None:
    first, second = start(kit, cells=["c1"]), start(kit, cells=["c2"])
    assert second["state"] == "queued"
    step(kit, "one", "a")
    assert [each["state"] for each in kit.get(RUNS)] == ["ok", "running"]
    step(kit, "two", "b")
    assert state(kit, second)["state"] == "ok"
    assert first["id"] != second["id"]


def test_an_idempotency_key_runs_once(kit: Kit) -> None:
    first = start(kit, idempotency_key="k")
    assert start(kit, 200, headers={"Idempotency-Key": "k"})["id"] == first["id"]
    start(kit, 409, idempotency_key="k", cells=["c1"])
    assert len(kit.get(RUNS)) == 1


def test_a_cancelled_run_interrupts_its_cell_and_runs_no_more(kit: Kit) -> None:
    run, waiting = start(kit), start(kit)
    ((header, _),) = kit.asked()
    kit.begin(header)
    delete = lambda each: kit.site.request("DELETE", f"{RUNS}/{each['id']}").status  # noqa: E731
    assert (delete(waiting), delete(run), kit.interrupts) == (204, 204, 1)
    kit.finish(header, status="error", ename="KeyboardInterrupt")
    assert (state(kit, run)["state"], state(kit, waiting)["state"]) == ("cancelled", "cancelled")
    assert kit.asked() == []
    assert (delete(run), delete(run)) == (204, 404), "what is over is forgotten"


def test_the_kernel_dies(kit: Kit) -> None:
    run = start(kit)
    kit.channels.disconnect()
    ended = state(kit, run)
    assert (ended["state"], ended["error"]["ename"]) == ("error", "DeadKernelError")


def test_a_kernel_that_was_started_for_it_is_ended_where_that_is_wanted(kit: Kit) -> None:
    kit.session_is_new = True
    start(kit, cells=["c1"], shut_down=True)
    step(kit, "one", "a")
    assert kit.ended == ["s"]
    start(kit, cells=["c1"])
    step(kit, "one", "a")
    kit.session_is_new = False
    start(kit, cells=["c1"], shut_down=True)
    step(kit, "one", "a")
    assert kit.ended == ["s"]


def test_a_page_that_shows_the_run_saves_it(kit: Kit) -> None:
    page = Page(kit, "one")
    run = start(kit, cells=["c1"])
    kit.get("/api/kernels/k/executions?client=one")
    step(kit, "one", "a")
    assert (state(kit, run)["state"], state(kit, run)["recorded"]) == ("ok", False)
    assert kit.get()["content"]["cells"][0]["outputs"] == []
    assert page


def test_a_page_that_follows_has_time_to_take_a_quick_run_over(kit: Kit) -> None:
    page = Page(kit, "one")
    kit.get("/api/kernels/k/executions?client=one")
    run = start(kit, cells=["c1"])
    step(kit, "one", "a")
    assert not state(kit, run)["recorded"]
    kit.pass_time(20)
    assert kit.get()["content"]["cells"][0]["outputs"] == [], "else its next save would find a file that was changed"
    kit.pass_time(40)
    assert kit.get()["content"]["cells"][0]["outputs"][0]["text"] == "a", "it does not ask for it"
    assert page


def test_parameters_are_put_behind_their_defaults_and_replaced_the_next_time(kit: Kit) -> None:
    kit.put(cell("c1", "alpha = 1", metadata={"tags": ["parameters"]}), cell("c2", "two"))
    run = start(kit, parameters={"alpha": 0.5, "name": 'x"y'})
    assert run["parameters"] == {"alpha": 0.5, "name": 'x"y'}
    step(kit, "alpha = 1", "")
    step(kit, "# Parameters\nalpha = 0.5\nname = 'x\"y'\n", "")
    step(kit, "two", "")
    assert state(kit, run)["state"] == "ok"
    start(kit, parameters={"alpha": 2}, cells=["c2"])
    step(kit, "# Parameters\nalpha = 2\n", "")
    step(kit, "two", "")
    assert len(kit.get()["content"]["cells"]) == 3


def test_too_many_runs(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs_module, "KEPT", 2)
    first = start(kit, cells=["c1"])
    start(kit, cells=["c2"])
    start(kit, 429)
    step(kit, "one", "a")
    start(kit)
    assert kit.site.request("GET", f"{RUNS}/{first['id']}").status == 404, "the oldest that is over is forgotten"


def next_kit(tmp_path: Path, store: StateStore, stay: bool = True) -> Kit:
    return Kit(tmp_path, run_ledger=RunLedger(lambda: store, lambda: True, at_once), kernels_stay=lambda: stay)


@pytest.fixture
def store(tmp_path: Path) -> StateStore:
    return StateStore(str(tmp_path / "state.db"))


def two_cells(tmp_path: Path, store: StateStore, **more: Any) -> Kit:
    kit = next_kit(tmp_path, store, **more)
    kit.put(cell("c1", "one"), cell("c2", "two"))
    return kit


def run_now(store: StateStore, run: Any) -> Any:
    """What the state file has of a run, as a client would see it."""
    (record,) = [record for record in store.runs() if record["id"] == run["id"]]
    return run_of(record).model()


def goes_on(kit: Kit, run: Any) -> None:
    """The kernel has outlived the daemon, and what it was asked to do with it."""
    (each,) = [each for each in run["cells"] if each["state"] == "running"]
    kit.channels.executions.add({"code": "as before"}, {"cellId": each["cell_id"]}, execution_id=each["msg_id"])
    done(kit.runs.recall())


def test_the_next_daemon_knows_the_runs_of_the_one_before_and_ends_those_whose_kernel_is_gone(
    tmp_path: Path, store: StateStore
) -> None:
    kit = two_cells(tmp_path, store)
    over = start(kit, cells=["c1"])
    step(kit, "one", "a")
    cut = start(kit, parameters={"alpha": 1}, idempotency_key="k")
    step(kit, "# Parameters\nalpha = 1\n", "")
    before = state(kit, over)
    kit = next_kit(tmp_path, store)  # that one was killed
    assert [each["id"] for each in kit.get(RUNS)] == [over["id"], cut["id"]]
    assert state(kit, over) == before
    told = state(kit, cut)
    assert (told["state"], told["done"], told["total"]) == ("error", 3, 3)
    assert [each["state"] for each in told["cells"]] == ["ok", "unknown", "skipped"]
    assert (told["error"]["ename"], told["error"]["index"], told["parameters"]) == ("ServerStopped", 1, {"alpha": 1})
    again = start(kit, 200, idempotency_key="k", parameters={"alpha": 1})
    assert again["id"] == cut["id"], "the key stands for what was done of it"
    assert kit.asked() == []
    assert kit.site.request("DELETE", f"{RUNS}/{cut['id']}").status == 204
    assert [each["id"] for each in next_kit(tmp_path, store).get(RUNS)] == [over["id"]]


@pytest.mark.parametrize("stops", [False, True])
def test_the_next_daemon_goes_on_where_the_kernel_has(tmp_path: Path, store: StateStore, stops: bool) -> None:
    kit = two_cells(tmp_path, store)
    kit.session_is_new = True
    run, queued = start(kit, shut_down=True), start(kit, cells=["c2"])
    kit.put(cell("c1", "one"), cell("c2", "changed"))
    if stops:
        kit.runs.startService()
        kit.runs.stopService()
    kit = next_kit(tmp_path, store)
    goes_on(kit, run_now(store, run))
    ((header, _),) = kit.asked()
    kit.ran(header, "a")
    step(kit, "two", "b")
    ended = state(kit, run)
    assert (ended["state"], [each["state"] for each in ended["cells"]]) == ("ok", ["ok", "ok"])
    assert kit.ended == ["s"]
    step(kit, "changed", "c")
    assert state(kit, queued)["state"] == "ok"


def test_what_was_done_before_counts(tmp_path: Path, store: StateStore) -> None:
    kit = two_cells(tmp_path, store)
    run = start(kit, stop_on_error=False)
    step(kit, "one", "a", status="error", ename="E")
    kit = next_kit(tmp_path, store)
    goes_on(kit, run_now(store, run))
    ((header, _),) = kit.asked()
    kit.ran(header, "b")
    ended = state(kit, run)
    assert (ended["state"], ended["error"]["ename"]) == ("error", "E")
    assert [each["state"] for each in ended["cells"]] == ["error", "ok"]


def test_nothing_is_begun_while_the_daemon_stops(tmp_path: Path, store: StateStore) -> None:
    kit = two_cells(tmp_path, store)
    run = start(kit)
    kit.runs.startService()
    kit.runs.stopService()
    step(kit, "one", "a")
    assert kit.asked() == []
    kit = next_kit(tmp_path, store)
    done(kit.runs.recall())
    step(kit, "two", "b")
    assert [each["state"] for each in state(kit, run)["cells"]] == ["ok", "ok"]


def test_a_cancelled_run_stays_cancelled(tmp_path: Path, store: StateStore) -> None:
    kit = two_cells(tmp_path, store)
    run = start(kit)
    kit.site.request("DELETE", f"{RUNS}/{run['id']}")
    kit = next_kit(tmp_path, store)
    goes_on(kit, run_now(store, run))
    ((header, _),) = kit.asked()
    kit.finish(header, status="error", ename="KeyboardInterrupt")
    assert (state(kit, run)["state"], kit.asked()) == ("cancelled", [])


def test_a_daemon_whose_kernels_end_with_it_says_so_of_its_runs(tmp_path: Path, store: StateStore) -> None:
    kit = two_cells(tmp_path, store, stay=False)
    run, queued = start(kit), start(kit)
    kit.runs.startService()
    kit.runs.stopService()
    step(kit, "one", "a")  # the kernel's own end comes later
    assert kit.asked() == []
    told = state(kit, run)
    assert (told["state"], told["error"]["ename"]) == ("error", "ServerStopped")
    assert "server was stopped" in state(kit, queued)["error"]["evalue"]
    assert told == state(next_kit(tmp_path, store), run)


VALUE = {"t": True, "n": None, "i": 1, "f": 1.5, "inf": float("inf"), "s": 'a"$\\\n', "l": [1, "x"], "d": {"k": [None]}}


def test_values_in_python() -> None:
    namespace: dict[str, Any] = {}
    exec(code_of(VALUE, "python"), namespace)
    assert {name: namespace[name] for name in VALUE} == VALUE


def test_values_in_r_and_julia_and_no_other_language() -> None:
    r, julia = code_of(VALUE, "r"), code_of(VALUE, "julia")
    quoted = '"a\\"\\$\\\\\\n"'
    assert 't <- TRUE\nn <- NULL\ni <- 1\nf <- 1.5\ninf <- Inf\ns <- "a\\"$\\\\\\n"\nl <- list(1, "x")\n' in r
    assert f't = true\nn = nothing\ni = 1\nf = 1.5\ninf = Inf\ns = {quoted}\nl = [1, "x"]\n' in julia
    assert 'd = Dict("k" => [nothing])' in julia
    with pytest.raises(Invalid):
        code_of(VALUE, "cobol")


def test_without_defaults_parameters_are_first_and_old_formats_get_no_ids() -> None:
    notebook: dict[str, Any] = {"nbformat": 4, "nbformat_minor": 4, "cells": [cell(None)]}
    assert "id" not in inject(notebook, "x")
    assert [each["source"] for each in notebook["cells"]] == ["x", "1"]
