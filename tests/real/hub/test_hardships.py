"""Homes that can not be written, TLS inside, a culler."""

from __future__ import annotations

import ssl
import time
import urllib.request
from pathlib import Path
from urllib.error import HTTPError

import pytest

from tests.real.daemon import alive, until
from tests.real.hub.conftest import VERSIONS, culling, long
from tests.real.hub.hub import Person, Program, RealHub, running


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


def test_internal_tls_both_ways(tls_hub: RealHub) -> None:
    hub = tls_hub
    program = Program(hub, "tess")
    assert program.ask("GET", "api/me")["identity"]["username"] == "tess", "the Hub was asked by TLS"
    person = Person(hub).log_in("tess")
    assert person.get("/user/tess/").path == "/user/tess/lab"
    until(lambda: "POST /hub/api/users/tess/activity" in hub.log, 20)
    url = hub.processes()[hub.pid("tess")]["JUPYTERHUB_SERVICE_URL"] + "api"
    assert url.startswith("https://")
    stranger = ssl.create_default_context()
    stranger.check_hostname, stranger.verify_mode = False, ssl.CERT_NONE  # whose certificate it is, the Hub checks
    with pytest.raises((OSError, HTTPError)):
        urllib.request.urlopen(url, context=stranger, timeout=10)
    hubs = hub.home / "certs" / "hub-internal" / "hub-internal"
    stranger.load_cert_chain(f"{hubs}.crt", f"{hubs}.key")
    with urllib.request.urlopen(url, context=stranger, timeout=10) as answer:
        assert answer.status == 200
    assert "Traceback" not in hub.log


@long
def test_idle_servers_are_culled_and_busy_ones_are_not(tmp_path: Path) -> None:
    with running(tmp_path / "hub", VERSIONS[-1], culling(20), JUPYTERHUB_ACTIVITY_INTERVAL="1") as hub:
        busy = Program(hub, "busy")
        busy.run("import time; time.sleep(400)")  # says nothing
        idle = Program(hub, "idle")
        page = time.monotonic()

        def culled() -> bool:
            if time.monotonic() - page < 40 and hub.server("idle"):
                person = Person(hub).ask("GET", "/user/idle/api/kernels", headers=idle.headers)  # as an open page does
                assert person.status in (200, 302, 424, 503, 403)
            return not hub.server("idle")

        until(culled, 120, "the idle server lives on")
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
