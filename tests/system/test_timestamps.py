"""Times as Jupyter's models have them."""

from datetime import datetime, timezone

from jupyterd.system.timestamps import isoformat, with_z


def test_utc_with_z() -> None:
    assert isoformat(0.5) == "1970-01-01T00:00:00.500000Z"
    assert isoformat(0) == "1970-01-01T00:00:00Z"
    assert isoformat(0, "microseconds") == "1970-01-01T00:00:00.000000Z"


def test_milliseconds() -> None:
    assert with_z(datetime(2026, 1, 2, tzinfo=timezone.utc), "milliseconds") == "2026-01-02T00:00:00.000Z"
