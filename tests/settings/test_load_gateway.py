"""Settings of a gateway: what makes one, and what is refused."""

from __future__ import annotations

import pytest

from jupyterd.settings.load import load
from tests.settings.loading import refused

pytestmark = pytest.mark.usefixtures("as_anybody")


def test_a_gateway_is_known_by_an_option_or_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = "jupyterd.kernels.AsyncMappingKernelManager"
    theirs = "jupyterd.gateway.GatewayMappingKernelManager"
    assert load(["--allow-root"]).server.kernel_manager_class == ours
    assert load(["--allow-root", "--gateway-url=http://gw:8888"]).server.kernel_manager_class == theirs
    monkeypatch.setenv("JUPYTER_GATEWAY_URL", "https://gw")
    assert load(["--allow-root"]).server.kernel_manager_class == theirs
    assert load(["--allow-root", "--gateway-url="]).server.kernel_manager_class == ours


@pytest.mark.parametrize(
    ("argument", "why"),
    [
        ("--gateway-url=gw:8888", "GatewayClient.url must begin with http:// or https://"),
        ("--GatewayClient.ws_url=http://gw", "GatewayClient.ws_url must begin with ws:// or wss://"),
        ("--GatewayClient.headers=[1]", "GatewayClient.headers must be a JSON object"),
        ("--GatewayClient.ca_certs=/nowhere", "GatewayClient.ca_certs can not be read: /nowhere"),
        ("--GatewayClient.client_cert=setup.cfg", "setup.cfg holds no certificate"),
        ("--GatewayClient.connect_timeout=0", "GatewayClient.connect_timeout must be above 0"),
        ("--GatewayClient.gateway_token_renewer_class=no.such.Class", "can not be imported"),
        ("--GatewayClient.gateway_token_renewer_class=collections.OrderedDict", "must have a method get_token"),
    ],
)
def test_what_can_not_be_used_of_a_gateways_settings_is_one_line(argument: str, why: str) -> None:
    assert why in refused("--gateway-url=http://gw:8888", argument)


def test_a_gateways_settings_in_the_environment_are_checked_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTER_GATEWAY_URL", "gopher://gw")
    assert "GatewayClient.url" in refused()
    monkeypatch.setenv("JUPYTER_GATEWAY_URL", "http://gw")
    monkeypatch.setenv("JUPYTER_GATEWAY_REQUEST_TIMEOUT", "soon")
    assert "JUPYTER_GATEWAY_REQUEST_TIMEOUT must be a number" in refused()


@pytest.mark.parametrize(
    "name",
    [
        "kernel_manager_class=jupyter_server.gateway.managers.GatewayMappingKernelManager",
        "kernel_spec_manager_class=jupyter_server.gateway.managers.GatewayKernelSpecManager",
        "session_manager_class=jupyter_server.gateway.managers.GatewaySessionManager",
        "kernel_websocket_connection_class=jupyter_server.gateway.connections.GatewayWebSocketConnection",
    ],
)
def test_the_references_classes_for_a_gateway_are_understood(name: str) -> None:
    load(["--allow-root", "--gateway-url=http://gw", f"--ServerApp.{name}"])
