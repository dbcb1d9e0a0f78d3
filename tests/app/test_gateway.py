"""The daemon's composition with a gateway and without one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from twisted.internet.testing import MemoryReactorClock

from jupyterd.app.composition import jupyterd
from jupyterd.app.parts import Parts
from jupyterd.gateway.kernelspecs import GatewaySpecs
from jupyterd.gateway.launcher import GatewayLauncher
from jupyterd.gateway.managers import GatewayMappingKernelManager, GatewaySessionManager
from jupyterd.gateway.polling import GatewayPolling
from jupyterd.gateway.token_renewal import GatewayTokenRenewerBase
from jupyterd.kernels.process.process_launcher import ProcessLauncher
from jupyterd.kernels.service import KernelsService
from jupyterd.kernelspecs.manager import KernelSpecs
from jupyterd.settings.load import load
from jupyterd.supervision.start_stop_stages import Stage


@pytest.fixture(autouse=True)
def directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in ("CONFIG", "DATA", "RUNTIME"):
        monkeypatch.setenv(f"JUPYTER_{kind}_DIR", str(tmp_path / kind.lower()))
    monkeypatch.delenv("JUPYTER_GATEWAY_URL", raising=False)
    monkeypatch.chdir(tmp_path)


def built(*options: str) -> Parts:
    return jupyterd(MemoryReactorClock(), load(["--allow-root", *options]))


def test_all_of_kernels_is_the_gateways() -> None:
    made = built(
        "--gateway-url=http://gw:1",
        "--GatewayMappingKernelManager.cull_idle_timeout=7",
        "--GatewaySessionManager.database_filepath=sessions.db",
        "--GatewayWebSocketConnection.client_buffer_bytes=99",
    )
    assert isinstance(made.kernels, GatewayMappingKernelManager)
    assert isinstance(made.sessions, GatewaySessionManager)
    assert isinstance(made.kernels.launcher, GatewayLauncher)
    assert isinstance(made.kernelspecs, GatewaySpecs)
    assert made.kernels.cull_idle_timeout == 7
    assert made.sessions.database_filepath == "sessions.db"
    assert made.gateway.connection.client_buffer_bytes == 99
    assert GatewayPolling in [type(service) for service in made.services.of(Stage.BACKENDS)]
    assert KernelsService in [type(service) for service in made.services.of(Stage.DOMAINS)]


def test_the_gateways_default_kernel_is_the_default_here() -> None:
    made = built("--gateway-url=http://gw:1")
    made.gateway.specs._default_is("scala")
    assert made.kernels.default_kernel_name == "scala"


def test_an_operators_own_kernelspecs_stay() -> None:
    made = built("--gateway-url=http://gw:1", f"--ServerApp.kernel_spec_manager_class={__name__}.Own")
    assert isinstance(made.kernelspecs, KernelSpecs)


def test_a_class_that_no_gateway_is_for_is_the_local_one() -> None:
    named = "jupyter_server.gateway.managers.GatewayKernelSpecManager"
    made = built(f"--ServerApp.kernel_spec_manager_class={named}")
    assert made.gateway is None
    assert isinstance(made.kernels.launcher, ProcessLauncher)
    assert isinstance(made.kernelspecs, KernelSpecs)


class Own:
    """An operator's kernelspecs."""

    def get_kernel_spec(self, name: str) -> None:
        """None."""


class Renewer(GatewayTokenRenewerBase):
    """An operator's tokens."""

    def get_token(self, auth_header_key: str, auth_scheme: str | None, auth_token: str, **kwargs: object) -> str:
        return "new"


def test_a_renewer_of_the_operators() -> None:
    named = f"{__name__}.Renewer"
    made = built("--gateway-url=http://gw:1", f"--GatewayClient.gateway_token_renewer_class={named}")
    assert type(made.gateway.launcher.gateway.credentials._renewer).__name__ == "Renewer"


def test_cookies_are_kept_where_the_operator_wants_them() -> None:
    assert built("--gateway-url=http://gw:1").gateway.launcher.gateway.credentials.jar is None
    made = built("--gateway-url=http://gw:1", "--GatewayClient.accept_cookies=True")
    assert made.gateway.launcher.gateway.credentials.jar is not None


def test_without_a_gateway_nothing_of_it_is_loaded() -> None:
    code = (
        "import sys; from twisted.internet.testing import MemoryReactorClock; "
        "from jupyterd.app.composition import jupyterd; "
        "from jupyterd.settings.load import load; jupyterd(MemoryReactorClock(), load(['--allow-root'])); "
        "heavy = ('jupyterd.gateway.', 'twisted.web.client', 'autobahn'); "
        "print(*(name for name in sys.modules if name.startswith(heavy)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
