"""Which extensions need a host."""

from __future__ import annotations

from typing import Any

import pytest

from jupyterd.extensions import discovery
from jupyterd.extensions.discovery import JUPYTEXT, LANGUAGE_SERVERS, SERVED, hosted


@pytest.fixture(autouse=True)
def packages(monkeypatch: pytest.MonkeyPatch) -> None:
    """All are installed but ``gone``; there is no language server."""
    monkeypatch.setattr(discovery, "is_installed", lambda name: name != "gone")
    monkeypatch.setattr(discovery, "has_language_servers", lambda: False)


def test_those_that_are_enabled_and_installed_and_not_served_here() -> None:
    switched = {"git": True, "off": False, "gone": True, "archive": True, **dict.fromkeys((*SERVED, *JUPYTEXT), True)}
    assert hosted(switched, JUPYTEXT) == ["archive", "git"]


@pytest.mark.parametrize(
    ("config", "there", "wanted"),
    [({}, False, False), ({}, True, True), ({"LanguageServerManager": {"language_servers": {}}}, False, True)],
)
def test_language_servers_where_there_is_one(
    config: dict[str, Any], there: bool, wanted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(discovery, "has_language_servers", lambda: there)
    assert hosted({LANGUAGE_SERVERS: True}, (), config) == [LANGUAGE_SERVERS] * wanted


@pytest.mark.parametrize("name", ["", ".x", "jupyterd..extensions", "no_such_package.server"])
def test_what_is_no_package_is_not_installed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert discovery.is_installed("json.decoder")
    assert discovery.is_installed(name) is (name == "jupyterd..extensions")
