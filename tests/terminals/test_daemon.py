"""Terminals of a whole daemon, and its end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import websocket

from tests.real.daemon import TOKEN, TWISTD, running, until

pytestmark = pytest.mark.real


def test_a_terminal_over_http_and_its_end_with_the_server(tmp_path: Path) -> None:
    with running(tmp_path, argv=TWISTD) as daemon:
        name = daemon.json("POST", "/api/terminals", {"cwd": "/tmp"})["name"]
        client = websocket.create_connection(
            f"ws://127.0.0.1:{daemon.port}/terminals/websocket/{name}",
            header=[f"Authorization: token {TOKEN}"],
            suppress_origin=True,
            timeout=20,
        )
        assert json.loads(client.recv()) == ["setup", {}]
        client.send(json.dumps(["stdin", "echo pwd=$PWD sum=$((40+2))\r"]))
        shown = ""
        while "sum=42" not in shown:
            kind, text = json.loads(client.recv())
            assert kind == "stdout"
            shown += text
        assert "pwd=/tmp" in shown
        client.send(json.dumps(["stdin", "trap '' HUP INT TERM; sleep 1000\r"]))
        until(lambda: len(daemon.children()) >= 1)
        answer = daemon.ask("POST", "/api/shutdown")
        assert answer.status == 200
        assert daemon.process.wait(20) == 0
        assert "Traceback" not in daemon.log
