"""Directories, and managers of real kernels that are ended with the test."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pytest_twisted import blockon, inlineCallbacks
from twisted.internet.defer import Deferred


@pytest.fixture
def directory() -> Iterator[str]:
    """A directory of its own."""
    with tempfile.TemporaryDirectory() as name:
        yield name


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def houses(home: Path, request: pytest.FixtureRequest) -> Iterator[Any]:
    """Makes managers: :class:`tests.kernels.real_kernels.House`, with a keeper unless the parameter says otherwise."""
    from tests.kernels.real_kernels import House  # it loads what units do without

    made: list[House] = []

    def make(**settings: Any) -> House:
        made.append(House(home, getattr(request, "param", True), **settings))
        return made[-1]

    yield make

    @inlineCallbacks
    def stop() -> Iterator[Any]:
        for house in made:
            yield Deferred.fromCoroutine(house.end())

    blockon(stop())
