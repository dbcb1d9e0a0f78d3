"""One notebook's cells, run as a page runs them, without a page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.real.daemon import Daemon
from tests.real.tab import Tab

NOTEBOOK = "/api/contents/a.ipynb"


def save(daemon: Daemon, *sources: str, tags: Any = ()) -> Any:
    made = [
        {"id": f"c{n}", "cell_type": "code", "metadata": {}, "source": text, "outputs": [], "execution_count": None}
        for n, text in enumerate(sources, 1)
    ]
    made[0]["metadata"] = {"tags": list(tags)}
    kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    metadata = {"kernelspec": kernelspec}
    content = {"nbformat": 4, "nbformat_minor": 5, "metadata": metadata, "cells": made}
    return daemon.json("PUT", NOTEBOOK, {"type": "notebook", "format": "json", "content": content})


def session(daemon: Daemon) -> str:
    wanted = {"path": "a.ipynb", "type": "notebook", "name": "a", "kernel": {"name": "python3"}}
    return str(daemon.json("POST", "/api/sessions", wanted)["kernel"]["id"])


def run_cell(tab: Tab, cell_id: str, code: str) -> str:
    """As a page does: with the cell's id in the metadata."""
    header = {
        "msg_id": cell_id * 8,
        "msg_type": "execute_request",
        "session": tab.session,
        "username": "",
        "version": "5.3",
        "date": "",
    }
    content = {"code": code, "silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": True}
    message = {"header": header, "parent_header": {}, "metadata": {"cellId": cell_id}, "content": content}
    tab.socket.send(json.dumps({"channel": "shell", **message, "buffers": []}))
    return str(header["msg_id"])


def await_text(tab: Tab, cell_id: str) -> None:
    """Until the cell has said something; kernels have things to say of their own, too."""
    while True:
        message = tab.receive()
        if message["header"]["msg_type"] == "stream" and message["parent_header"].get("msg_id") == cell_id * 8:
            return


def texts(path: Path) -> list[Any]:
    """Of each cell on disk its execution count and the text of its outputs."""
    cells = json.loads(path.read_text())["cells"]
    return [
        (
            cell["execution_count"],
            ["".join(out.get("text") or out.get("data", {}).get("text/plain", [])) for out in cell["outputs"]],
        )
        for cell in cells
    ]
