"""Small blocks and segments, so that few messages fill them."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of the log in memory and segments of it on disk are some messages long."""
    from jupyterd.kernels.log import bounded_store, spill

    monkeypatch.setattr(spill, "BLOCK", 1500)
    monkeypatch.setattr(bounded_store, "SLACK", 4000)
    monkeypatch.setattr(bounded_store, "STEP", 500)
    monkeypatch.setattr(spill, "SEGMENT", 6000)
