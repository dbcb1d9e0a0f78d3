"""Programs that use a server: papermill's way over the API, and the reference as a gateway's client."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, output_from_msg

from tests.real.daemon import BIN, REFERENCE, TOKEN, Daemon, running
from tests.real.tab import V1, Tab, of_type, printed

OUTPUTS = {"stream", "display_data", "execute_result", "error"}
CELLS = [
    "total = sum(range(10))\nprint('total', total)",
    "from IPython.display import HTML, display\ndisplay(HTML('<b>bold</b>'))",
    "total",
    "import sys; print('warned', file=sys.stderr)",
]


def test_a_notebook_is_run_and_saved_as_papermill_does(daemon: Daemon) -> None:
    notebook = new_notebook(cells=[new_code_cell(source) for source in CELLS])
    daemon.json("PUT", "/api/contents/in.ipynb", {"type": "notebook", "content": notebook})
    session = daemon.json(
        "POST",
        "/api/sessions",
        {"path": "out.ipynb", "name": "out.ipynb", "type": "notebook", "kernel": {"name": "python3"}},
    )
    loaded = nbformat.from_dict(daemon.json("GET", "/api/contents/in.ipynb")["content"])
    tab = Tab(daemon, session["kernel"]["id"], V1).ready()
    for cell in loaded.cells:
        messages = tab.until_done(tab.execute(cell.source))
        cell.execution_count = of_type(messages, "execute_reply")[0]["content"]["execution_count"]
        cell.outputs = [output_from_msg(m) for m in messages if m["header"]["msg_type"] in OUTPUTS]
    tab.close()
    daemon.json("PUT", "/api/contents/out.ipynb", {"type": "notebook", "content": loaded})
    assert daemon.ask("DELETE", f"/api/sessions/{session['id']}").status == 204
    saved = nbformat.read(daemon.root / "out.ipynb", as_version=4)
    nbformat.validate(saved)
    assert [cell.execution_count for cell in saved.cells] == [1, 2, 3, 4]
    assert [out["output_type"] for cell in saved.cells for out in cell.outputs] == [
        "stream",
        "display_data",
        "execute_result",
        "stream",
    ]
    assert saved.cells[2].outputs[0]["data"]["text/plain"] == "45"


def test_serves_as_the_gateway_of_another_server(daemon: Daemon, tmp_path: Path) -> None:
    """The reference with ``--gateway-url`` runs its kernels here, through our REST API and websocket."""
    if not (BIN / "jupyter-server").exists():
        pytest.skip("jupyter_server is not installed")
    options = [
        f"--GatewayClient.url=http://127.0.0.1:{daemon.port}",
        f"--GatewayClient.auth_token={TOKEN}",
    ]
    with running(tmp_path, *options, argv=REFERENCE) as front:
        assert "python3" in front.json("GET", "/api/kernelspecs")["kernelspecs"]
        kernel = front.start_kernel()
        assert kernel in [one["id"] for one in daemon.json("GET", "/api/kernels")]
        tab = Tab(front, kernel).ready()
        assert printed(tab.until_done(tab.execute("print('far away')"))) == "far away\n"
        tab.close()
        assert front.ask("DELETE", f"/api/kernels/{kernel}").status == 204
        assert kernel not in [one["id"] for one in daemon.json("GET", "/api/kernels")]
