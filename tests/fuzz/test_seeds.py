"""What the fuzzers found worth keeping, tried again each time."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.fuzz.targets import TARGETS

SEEDS = os.path.join(os.path.dirname(__file__), "seeds")


def seeds() -> Iterator[tuple[str, str]]:
    for name in sorted(TARGETS):
        directory = os.path.join(SEEDS, name)
        for file in sorted(os.listdir(directory)) if os.path.isdir(directory) else ():
            yield name, file


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_seeds(name: str) -> None:
    for target, file in seeds():
        if target == name:
            with open(os.path.join(SEEDS, name, file), "rb") as seed:
                TARGETS[name](seed.read())
