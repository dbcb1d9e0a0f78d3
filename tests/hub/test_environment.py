"""Each variable that a Hub hands over acts, or is known to change nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.hub.serving import ENVIRONMENT, Making
from tests.hub.variables import ACCEPTED, ACTING, cookie, of_server, of_side, websocket

BEFORE = {"JUPYTERHUB_OAUTH_SCOPES": ("JUPYTERHUB_OAUTH_ACCESS_SCOPES",)}
"""Variables that count where others are not there."""


@pytest.fixture
def hub_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("name", ACTING)
def test_a_variable_acts(
    below: Making, hub_environment: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    value, look, without, expected = ACTING[name]
    for other in BEFORE.get(name, ()):
        monkeypatch.setitem(ENVIRONMENT, other, "")
    seen = look(below)
    assert without is None or seen == without
    (tmp_path / "home").mkdir()
    monkeypatch.setitem(ENVIRONMENT, name, value(tmp_path / "home"))
    monkeypatch.setenv(name, value(tmp_path / "home"))
    assert look(below) == expected
    assert seen != expected


@pytest.mark.parametrize("name", ACCEPTED)
def test_a_variable_is_accepted(
    below: Making, hub_environment: None, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    looks = [of_side(cookie), of_side(websocket), of_server(lambda server: server.config)]
    before = [look(below) for look in looks]
    monkeypatch.setitem(ENVIRONMENT, name, ACCEPTED[name])
    monkeypatch.setenv(name, ACCEPTED[name])
    assert [look(below) for look in looks] == before
