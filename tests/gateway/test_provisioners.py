"""Kernels by the package gateway_provisioners: started, spoken to and signalled by a listener beside them.

With the package in an environment of its own, and jupyterd from this checkout there: ``JUPYTERD_ENTERPRISE_GATEWAY=1``.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.real import programs
from tests.real.daemon import Daemon, environment, running, until
from tests.real.tab import V1, Tab, printed

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif("JUPYTERD_ENTERPRISE_GATEWAY" not in os.environ, reason="set JUPYTERD_ENTERPRISE_GATEWAY=1"),
]
WHO = {"GP_UNAUTHORIZED_USERS": "nobody", "GP_PROHIBITED_UIDS": ""}


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    commands = programs.gateway_provisioners()
    home: Path = tmp_path_factory.mktemp("provisioners")
    (home / "data").mkdir()
    env = {**environment(home), **WHO, "PATH": f"{commands}:{os.environ['PATH']}"}
    install = [str(commands / "jupyter-ssh-spec"), "install", "--user", "--remote-hosts=localhost", "--kernel-name=far"]
    subprocess.run(install, env=env, check=True, capture_output=True, timeout=120)
    with running(home, argv=(str(commands / "jupyterd"),), **WHO, PATH=env["PATH"]) as daemon:
        yield daemon


def test_a_kernels_life(daemon: Daemon) -> None:
    kernel = str(daemon.json("POST", "/api/kernels", {"name": "far"})["id"])
    for protocol in ("", V1):
        tab = Tab(daemon, kernel, protocol).ready()
        assert printed(tab.until_done(tab.execute("print('far', 6 * 7)"))) == "far 42\n"
        tab.close()
    tab = Tab(daemon, kernel).ready()
    asked = tab.execute("import time; time.sleep(100)")
    time.sleep(1)
    assert daemon.ask("POST", f"/api/kernels/{kernel}/interrupt").status == 204
    tab.until_done(asked)
    tab.close()
    assert daemon.ask("POST", f"/api/kernels/{kernel}/restart", timeout=120).status == 200
    tab = Tab(daemon, kernel).ready()
    assert printed(tab.until_done(tab.execute("print('again')"))) == "again\n"
    tab.close()
    assert daemon.ask("DELETE", f"/api/kernels/{kernel}", timeout=120).status == 204
    until(lambda: daemon.json("GET", "/api/kernels") == [])
