"""Outputs reach the notebook whoever is watching: real kernels, real websockets, a real browser."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.real.cells import NOTEBOOK, await_text, run_cell, save, session, texts
from tests.real.daemon import BIN, Daemon, await_answer, common, end_kept, environment, free_port, running, spawn, until
from tests.real.tab import Tab

pytestmark = pytest.mark.real

SOON = ("--OutputRecorder.closed_page_timeout=1",)
COUNTING = "import time\nfor i in range({}):\n    print('line', i, flush=True)\n    time.sleep({})"
BAR = """
import sys
for i in range(3):
    print(f'\\r{i + 1}/3', end='', file=sys.stderr, flush=True)
display('figure', display_id='f')
display('the figure', display_id='f', update=True)
None
"""


def test_a_tab_runs_cells_and_is_closed_reloaded_and_stale(tmp_path: Path) -> None:
    with running(tmp_path, *SOON) as daemon:
        first = COUNTING.format(5, 0.3)
        save(daemon, first, BAR)
        file = daemon.root / "a.ipynb"
        kernel = session(daemon)
        tab = Tab(daemon, kernel)
        run_cell(tab, "c1", first)
        run_cell(tab, "c2", BAR)
        await_text(tab, "c1")
        tab.close()
        (running_now, queued) = until(lambda: daemon.json("GET", f"/api/kernels/{kernel}/executions")["executions"])
        assert (running_now["state"], queued["state"]) == ("running", "queued")

        page = Tab(daemon, kernel)  # the page is reloaded
        assert next(iter_states(page)) == "busy"
        answer = daemon.json("GET", f"/api/kernels/{kernel}/executions?path=a.ipynb&client={page.session}")
        shown = answer["executions"][0]["outputs"][0]["text"]
        while (message := page.receive())["header"]["msg_id"] != answer["fence"]:
            pass
        while not (message["header"]["msg_type"] == "status" and message["parent_header"].get("msg_id") == "c2" * 8):
            message = page.receive()
            if message["header"]["msg_type"] == "stream" and message["content"]["name"] == "stdout":
                shown += message["content"]["text"]
        expected = "".join(f"line {n}\n" for n in range(5))
        assert shown == expected, "nothing twice, nothing missing"
        time.sleep(2)
        assert texts(file)[0][1] in ([], texts(file)[0][1][:1]), "it is there: its own save is waited for"
        page.close()
        written = [(1, [expected]), (2, ["3/3", "'the figure'"])]
        until(lambda: texts(file)[1][0], 60, "not written")
        assert texts(file) == written

        save(daemon, first, BAR)  # a page that was opened before all this
        assert texts(file) == written
        known = daemon.json("GET", NOTEBOOK)["content"]
        assert all(cell["metadata"]["trusted"] for cell in known["cells"])
        for cell in known["cells"]:
            cell.update(outputs=[], execution_count=None)
        daemon.json("PUT", NOTEBOOK, {"type": "notebook", "format": "json", "content": known})
        assert texts(file) == [(None, []), (None, [])], "cleared by who had seen them"
    assert "Traceback" not in daemon.log


def states(daemon: Daemon, kernel: str) -> list[str]:
    return [each["state"] for each in daemon.json("GET", f"/api/kernels/{kernel}/executions")["executions"]]


def iter_states(tab: Tab) -> Any:
    while True:
        message = tab.receive()
        if message["header"]["msg_type"] == "status":
            yield message["content"]["execution_state"]


def test_what_is_in_no_file_is_written_when_the_kernel_ends_and_when_the_daemon_stops(tmp_path: Path) -> None:
    with running(tmp_path) as daemon:
        save(daemon, "print('said')", "print('too')\nimport time\ntime.sleep(60)")
        file = daemon.root / "a.ipynb"
        for cell_id, code in (
            ("c1", "print('said')"),
            ("c2", "print('too')\nimport time\ntime.sleep(60)"),
        ):
            kernel = session(daemon)
            tab = Tab(daemon, kernel)
            run_cell(tab, cell_id, code)
            await_text(tab, cell_id)
            tab.close()
            if cell_id == "c1":
                until(lambda: states(daemon, kernel) == ["ok"])  # noqa: B023 - it is called at once
                (model,) = daemon.json("GET", "/api/sessions")
                daemon.json("DELETE", f"/api/sessions/{model['id']}")
                assert daemon.json("GET", NOTEBOOK)["content"]["cells"][0]["outputs"][0]["text"] == "said\n"
        daemon.stop()
        assert texts(file)[1] == (None, ["too\n"])


def test_the_command_runs_a_notebook_on_the_server(tmp_path: Path) -> None:
    with running(tmp_path) as daemon:
        save(daemon, "alpha = 1", "print(alpha, name)", "1 / 0", "print('not reached')", tags=["parameters"])
        file = daemon.root / "a.ipynb"

        def command(*words: str) -> subprocess.CompletedProcess[str]:
            env = environment(tmp_path)
            return subprocess.run(
                [str(BIN / "jupyterd"), *words], capture_output=True, text=True, env=env, timeout=120, check=False
            )

        done = command("run", str(file), "-p", "alpha", "0.5", "-p", "name", "x")
        assert (done.returncode, "5/5 error" in done.stderr, "ZeroDivisionError" in done.stderr) == (1, True, True)
        assert [text for _, text in texts(file)][2] == ["0.5 x\n"]
        assert texts(file)[-1] == (None, [])
        assert daemon.json("GET", "/api/sessions") == [], "its kernel is ended"
        run_id = command("run", str(file), "--from", "1", "--keep-going", "--detach", "--keep-kernel").stdout.strip()
        until(lambda: daemon.json("GET", f"{NOTEBOOK}/runs/{run_id}")["state"] == "error", 60)
        assert texts(file)[-1][1] == ["not reached\n"]
        assert run_id in command("runs", str(file)).stdout
    assert "Traceback" not in daemon.log


def test_a_daemon_that_is_killed_in_the_middle_loses_no_output_and_goes_on_with_its_runs(tmp_path: Path) -> None:
    source, port = COUNTING.format(8, 0.4), free_port()
    options = [*common(tmp_path, port), *SOON, "--OutputRecorder.lost_page_timeout=3"]
    daemon = spawn(tmp_path, options)
    try:
        daemon.port = port
        await_answer(daemon)
        save(daemon, source, "print('second')")
        kernel = session(daemon)
        tab = Tab(daemon, kernel)
        run_cell(tab, "c1", source)
        run_cell(tab, "c2", "print('second')")
        await_text(tab, "c1")
        (daemon.root / "b.ipynb").write_bytes((daemon.root / "a.ipynb").read_bytes())
        run = daemon.json("POST", "/api/contents/b.ipynb/run", {"shut_down": True})
        where = f"/api/contents/b.ipynb/runs/{run['id']}"
        own = until(lambda: daemon.json("GET", where)["kernel_id"])
        until(lambda: "running" in states(daemon, own))
        daemon.stop(signal.SIGKILL)
        daemon = spawn(tmp_path, options)
        daemon.port = port
        await_answer(daemon)
        file = daemon.root / "a.ipynb"
        until(lambda: texts(file)[1][0], 60, "not written")
        written = [(1, ["".join(f"line {n}\n" for n in range(8))]), (2, ["second\n"])]
        assert texts(file) == written
        until(lambda: daemon.json("GET", where)["ended"], 60, "the run does not end")
        assert daemon.json("GET", where)["state"] == "ok", daemon.json("GET", where)
        assert texts(daemon.root / "b.ipynb") == written
        assert [each["path"] for each in daemon.json("GET", "/api/sessions")] == ["a.ipynb"], "its kernel is ended"
        daemon.json("DELETE", f"/api/kernels/{kernel}")
    finally:
        daemon.stop()
        end_kept(tmp_path)
