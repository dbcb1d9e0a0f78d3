"""A directory for a kernel's log."""

from __future__ import annotations

import tempfile

import pytest


@pytest.fixture
def directory():
    with tempfile.TemporaryDirectory() as name:
        yield name
