"""A daemon in memory for each test of outputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def kit(tmp_path: Path) -> Any:
    """A :class:`tests.outputs.daemon_in_memory.Kit` with a notebook of two cells."""
    from tests.outputs.daemon_in_memory import Kit, cell  # it loads a reactor, and which one is not chosen yet

    made = Kit(tmp_path)
    made.put(cell("c1"), cell("c2"))
    return made
