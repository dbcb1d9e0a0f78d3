"""Homes that can not be written, TLS inside, a Hub that dies, a culler."""

from __future__ import annotations

import json
import ssl
import time
import urllib.request
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest

from tests.real import programs
from tests.real.daemon import alive, until
from tests.real.hub.conftest import long
from tests.real.hub.hub import Person, RealHub, running


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}


class Program:
    """A program of a user's, with a token."""

    def __init__(self, hub: RealHub, user: str) -> None:
        self.hub = hub
        self.base = hub.spawn(user)
        self.headers = bearer(hub.token(user, "access:servers!user"))

    def ask(self, method: str, path: str, body: Any = None, expect: int = 300) -> Any:
        raw = None if body is None else json.dumps(body).encode()
        answer = Person(self.hub).ask(method, f"{self.base}{path}", raw, headers=self.headers)
        assert answer.status < expect, (path, answer.status, answer.text[:500])
        return answer.json if answer.body else None

    def run(self, code: str) -> str:
        """Start code in a new kernel; the URL of its execution."""
        kernel = self.ask("POST", "api/kernels", {"name": "python3"})["id"]
        execution = self.ask("POST", f"api/kernels/{kernel}/execute", {"code": code})
        return f"api/kernels/{kernel}/execute/{execution['id']}"

    def said(self, execution: str) -> str:
        """What it has printed so far."""
        return json.dumps(self.ask("GET", f"{execution}?limit=1000"))


@long
@pytest.mark.parametrize("home", ["/sys/none", "/proc/1/none"], ids=["read-only", "missing"])
def test_a_home_that_can_not_be_written(tmp_path: Path, home: str) -> None:
    more = f'c.Spawner.cmd = ["env", "HOME={home}", "IPYTHONDIR={tmp_path}/ipython", *told["command"]]\n'
    with running(tmp_path / "hub", more=more) as hub:
        program = Program(hub, "ada")
        program.ask("PUT", "api/contents/n.ipynb", {"type": "notebook", "content": NOTEBOOK})
        execution = program.run("print('do' + 'ne')")
        until(lambda: "done" in program.said(execution), 40)
        assert program.ask("GET", "api/contents/n.ipynb?type=notebook")["content"]["nbformat"] == 4
        program.ask("PUT", "lab/api/workspaces/lab", {"data": {}, "metadata": {"id": "lab"}}, expect=600)
        person = Person(hub).log_in("ada")
        assert person.get("/user/ada/").path == "/user/ada/lab"
        assert "Traceback" not in hub.log


NOTEBOOK = {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


def test_internal_tls_both_ways(tmp_path: Path) -> None:
    more = """
c.JupyterHub.internal_ssl = True
c.JupyterHub.internal_certs_location = told["home"] + "/certs"
c.JupyterHub.hub_bind_url = f"https://127.0.0.1:{told['hub_port']}"
c.ConfigurableHTTPProxy.api_url = f"https://127.0.0.1:{told['api_port']}"
"""
    with running(tmp_path / "hub", more=more) as hub:
        program = Program(hub, "ada")
        assert program.ask("GET", "api/me")["identity"]["username"] == "ada", "the Hub was asked by TLS"
        person = Person(hub).log_in("ada")
        assert person.get("/user/ada/").path == "/user/ada/lab"
        until(lambda: "POST /hub/api/users/ada/activity" in hub.log, 20)
        told = _environ(hub.pid("ada"))
        assert told["JUPYTERHUB_SERVICE_URL"].startswith("https://")
        stranger = ssl.create_default_context()
        stranger.check_hostname, stranger.verify_mode = False, ssl.CERT_NONE  # whose certificate it is, the Hub checks
        with pytest.raises((OSError, HTTPError)):
            urllib.request.urlopen(told["JUPYTERHUB_SERVICE_URL"] + "api", context=stranger, timeout=10)
        hubs = hub.home / "certs" / "hub-internal" / "hub-internal"
        stranger.load_cert_chain(f"{hubs}.crt", f"{hubs}.key")
        with urllib.request.urlopen(told["JUPYTERHUB_SERVICE_URL"] + "api", context=stranger, timeout=10) as answer:
            assert answer.status == 200
        assert "Traceback" not in hub.log


def _environ(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    return dict(line.split("=", 1) for line in lines if "=" in line)


def test_a_hub_that_dies_and_comes_back(tmp_path: Path) -> None:
    with running(tmp_path / "hub", JUPYTERHUB_ACTIVITY_INTERVAL="1") as hub:
        program = Program(hub, "ada")
        pid = hub.pid("ada")
        person = Person(hub).log_in("ada")
        assert person.get("/user/ada/lab").status == 200
        execution = program.run("import time\nfor i in range(25): print('tick', i, flush=True); time.sleep(0.5)")
        until(lambda: "tick 1" in program.said(execution), 30)
        hub.kill()
        assert person.ask("GET", "/user/ada/api/contents", headers={"Sec-Fetch-Mode": "navigate"}).status == 200
        until(lambda: "can not be reached" in Person(hub).get("/user/ada/lab").text, 10)
        assert Person(hub).get("/user/ada/lab").status == 503
        until(lambda: "tick 8" in program.said(execution), 30)
        hub.start()
        assert hub.server("ada")["ready"]
        assert hub.pid("ada") == pid
        until(lambda: "tick 24" in program.said(execution), 30)
        assert person.get("/user/ada/lab").path == "/user/ada/lab"
        assert Person(hub).log_in("ada").get("/user/ada/").path == "/user/ada/lab"
        assert "Error notifying Hub of activity" in hub.log
        before = hub.server("ada")["last_activity"]
        program.ask("POST", "api/contents", {"type": "file"})
        until(lambda: hub.server("ada")["last_activity"] > before, 20, "activity is not told any more")


@long
def test_idle_servers_are_culled_and_busy_ones_are_not(tmp_path: Path) -> None:
    culler = str(programs.hub("5") / "python")
    more = f"""
c.JupyterHub.services.append({{"name": "culler", "command": [
    {culler!r}, "-m", "jupyterhub_idle_culler", "--timeout=10", "--cull-every=1"]}})
c.JupyterHub.load_roles.append({{"name": "culler", "services": ["culler"],
    "scopes": ["list:users", "read:users:activity", "read:servers", "delete:servers"]}})
c.JupyterHub.last_activity_interval = 3600
"""
    with running(tmp_path / "hub", more=more, JUPYTERHUB_ACTIVITY_INTERVAL="1") as hub:
        busy = Program(hub, "busy")
        busy.run("import time; time.sleep(90)")  # says nothing
        idle = Program(hub, "idle")
        page = time.monotonic()

        def culled() -> bool:
            if time.monotonic() - page < 30 and hub.server("idle"):
                person = Person(hub).ask("GET", "/user/idle/api/kernels", headers=idle.headers)  # as an open page does
                assert person.status in (200, 302, 424, 503, 403)
            return not hub.server("idle")

        until(culled, 45, "the idle server lives on")
        assert hub.server("busy")["ready"]
        pid = hub.pid("busy")
        assert alive(pid)


@long
def test_a_server_of_a_users_own_below_one_of_the_hubs(tmp_path: Path) -> None:
    """Who starts jupyterd in a terminal there has a plain server."""
    with running(tmp_path / "hub") as hub:
        program = Program(hub, "ada")
        code = (
            "import subprocess, sys, os\n"
            "run = subprocess.run([os.path.join(os.path.dirname(sys.executable), 'jupyterd'), '--show-config',"
            " '--allow-root'], capture_output=True, text=True)\n"
            "print('CONFIG', 'identity_provider_class' in run.stdout, run.returncode)"
        )
        execution = program.run(code)
        until(lambda: "CONFIG False 0" in program.said(execution), 40, program.said(execution)[-1500:])
