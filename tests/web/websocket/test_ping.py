"""Ping times of all websockets, from the settings."""

from __future__ import annotations

import pytest

from jupyterd.web.websocket.ping import ping_times


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ((), (30.0, 90.0)),
        ((0, 0), (30.0, 90.0)),
        ((10, 0), (10.0, 30.0)),
        ((5, 0), (5.0, 30.0)),
        ((60, 0), (60.0, 180.0)),
        ((0, 7), (30.0, 7.0)),
        ((3, 2), (3.0, 2.0)),
    ],
)
def test_the_reference_s_defaults(given: tuple[float, ...], expected: tuple[float, float]) -> None:
    assert ping_times(*given) == expected
