"""Settings that have moved to other classes: the old name is taken, the new one wins."""

from __future__ import annotations

from pathlib import Path

import pytest

from jupyterd.settings.load import load

pytestmark = pytest.mark.usefixtures("as_anybody")


@pytest.mark.parametrize(
    ("option", "section", "name", "value"),
    [
        ("--ServerApp.token=abc", "IdentityProvider", "token", "abc"),
        ("--ServerApp.password=hash", "PasswordIdentityProvider", "hashed_password", "hash"),
        ("--ServerApp.password_required=True", "PasswordIdentityProvider", "password_required", True),
        ("--ServerApp.limit_rate=False", "ZMQChannelsWebsocketConnection", "limit_rate", False),
        ("--ServerApp.iopub_data_rate_limit=5", "ZMQChannelsWebsocketConnection", "iopub_data_rate_limit", 5.0),
    ],
)
def test_a_setting_that_has_moved(
    told: pytest.LogCaptureFixture, option: str, section: str, name: str, value: object
) -> None:
    assert load([option]).config[section][name] == value
    old = option.removeprefix("--").partition("=")[0]
    assert f"{old} config is deprecated in 2.0. Use {section}.{name}." in told.text


def test_the_new_name_wins(told: pytest.LogCaptureFixture) -> None:
    settings = load(["--ServerApp.token=old", "--IdentityProvider.token=new"])
    assert settings.token == "new"
    assert "Ignoring deprecated ServerApp.token config. Using IdentityProvider.token." in told.text


def test_a_moved_setting_that_is_none_is_not_set(user: Path) -> None:
    (user / "jupyter_server_config.py").write_text("c.ServerApp.iopub_data_rate_limit = None")
    settings = load([])
    assert "ZMQChannelsWebsocketConnection" not in settings.config
