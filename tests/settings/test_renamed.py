"""Names of ours before the first release."""

from __future__ import annotations

import pytest

from jupyterd.serverapp import ServerApp
from jupyterd.settings.load import load
from tests.settings.loading import server

pytestmark = pytest.mark.usefixtures("as_anybody")


@pytest.mark.parametrize(
    ("option", "section", "name", "value"),
    [
        (
            "--ZMQChannelsWebsocketConnection.log_memory=5",
            "ZMQChannelsWebsocketConnection",
            "message_log_memory_bytes",
            5,
        ),
        ("--GatewayWebSocketConnection.client_hold=6", "GatewayWebSocketConnection", "client_buffer_bytes", 6),
        ("--MappingKernelManager.start_grace=2.5", "MappingKernelManager", "startup_check_timeout", 2.5),
        ("--FileContentsManager.max_content_size_mb=2", "FileContentsManager", "max_content_bytes", 2 << 20),
        ("--Own.notebook_versions_size_mb=3", "Own", "notebook_versions_size_mb", 3),
        ("--OwnFileManager.notebook_versions_size_mb=3", "OwnFileManager", "notebook_versions_bytes", 3 << 20),
        ("--HTTPLimits.head_timeout=7", "ServerApp", "http_head_timeout", 7.0),
        ("--HTTPLimits.most_waiting=8", "ServerApp", "http_max_waiting_connections", 8),
    ],
)
def test_a_former_name_is_taken_and_told_of(
    option: str, section: str, name: str, value: object, told: pytest.LogCaptureFixture
) -> None:
    made = server(option)
    found = made.config[section][name]
    assert float(str(found)) == value
    assert ("the old name goes" in told.text) == (section != "Own")
    assert "HTTPLimits" not in made.config
    if section == "ServerApp":
        assert getattr(made, name) == value


def test_the_new_one_of_two_names_wins(told: pytest.LogCaptureFixture) -> None:
    section = "ZMQChannelsWebsocketConnection"
    made = server(f"--{section}.log_memory=5", f"--{section}.message_log_memory_bytes=9")
    assert int(made.config[section]["message_log_memory_bytes"]) == 9
    assert f"{section}.log_memory is now {section}.message_log_memory_bytes" in told.text


def test_every_former_name_leads_to_a_setting() -> None:
    from jupyterd.compat.class_names import known_classes
    from jupyterd.settings.renamed import RENAMED

    traits = {name for kind in (*known_classes(), ServerApp) for name in kind.class_trait_names(config=True)}
    assert {new.name for new in RENAMED.values()} - traits == set()
    assert {old for _, old in RENAMED} & traits <= {"closed_grace"}


def test_a_class_is_named_by_its_package(told: pytest.LogCaptureFixture) -> None:
    made = load(["--ServerApp.contents_manager_class=jupyterd.contents.largefile.LargeFileManager"])
    assert type(made.make("contents_manager_class")).__name__ == "LargeFileManager"
    assert "write jupyterd.contents.LargeFileManager" in told.text
