"""One daemon with all packages from the index, for all modules that ask it: it takes seconds to start."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.extensions.environment import ALL, python_of
from tests.extensions.serving import EXPOSED, ready, started
from tests.real.daemon import Daemon


@pytest.fixture(scope="session")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Daemon, str]]:
    """The daemon, and the state that its extension host had when it answered first."""
    with started(tmp_path_factory.mktemp("packages"), python_of("all", ALL), EXPOSED) as daemon:
        state = daemon.json("GET", "/api/extensions")["host"]["state"]
        ready(daemon)
        yield daemon, state


@pytest.fixture(scope="session")
def daemon(begun: tuple[Daemon, str]) -> Daemon:
    """All extensions are loaded in it, and none has failed."""
    return begun[0]
