"""Servers below a Hub in memory. Imported late: treq's tools for tests want the reactor to be installed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.hub.serving import Below, Making


@pytest.fixture
def below(monkeypatch: pytest.MonkeyPatch) -> Making:
    """Makes a server below a Hub."""
    from tests.hub.serving import Making

    return Making(monkeypatch)


@pytest.fixture
def ada(below: Making) -> Below:
    """Ada's server."""
    return below()
