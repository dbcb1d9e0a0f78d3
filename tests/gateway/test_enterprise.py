"""Kernels on a real Jupyter Enterprise Gateway, whose process proxy runs them on this machine.

Its installation takes minutes, and a Python on which its old jupyter_client runs: ``JUPYTERD_ENTERPRISE_GATEWAY=1``.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.gateway import test_real
from tests.real import programs
from tests.real.daemon import TOKEN, Daemon, await_answer, environment, free_port

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif("JUPYTERD_ENTERPRISE_GATEWAY" not in os.environ, reason="set JUPYTERD_ENTERPRISE_GATEWAY=1"),
]
cable, front, kernel = test_real.cable, test_real.front, test_real.kernel


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    commands = programs.enterprise_gateway()
    home, port = tmp_path_factory.mktemp("enterprise"), free_port()
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                str(commands / "jupyter-enterprisegateway"), "--ip=127.0.0.1", f"--port={port}",
                f"--EnterpriseGatewayApp.auth_token={TOKEN}", "--EnterpriseGatewayApp.list_kernels=True",
            ],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=home,
            env={**environment(home), "EG_UNAUTHORIZED_USERS": "nobody", "EG_PROHIBITED_UIDS": ""},
        )  # fmt: skip
    daemon = Daemon(process, home, port)
    try:
        await_answer(daemon, patience=90)
        yield daemon
    finally:
        daemon.stop()


def test_its_kernelspecs_are_ours(front: Daemon, gateway: Daemon) -> None:
    found = front.json("GET", "/api/kernelspecs")["kernelspecs"]
    assert found.keys() == gateway.json("GET", "/api/kernelspecs")["kernelspecs"].keys()
    assert sys.prefix not in found["python3"]["spec"]["argv"][0], "it runs there"


test_a_kernels_life = test_real.test_a_kernels_life
test_buffers_pass_both_ways = test_real.test_buffers_pass_both_ways
test_a_session_has_a_kernel_there = test_real.test_a_session_has_a_kernel_there
test_a_kernel_that_dies_is_started_again = test_real.test_a_kernel_that_dies_is_started_again_by_the_gateway
test_a_line_that_was_cut_is_there_again = test_real.test_a_line_that_was_cut_is_there_again
test_kernels_end_with_the_server_that_started_them = test_real.test_kernels_end_with_the_server_that_started_them
