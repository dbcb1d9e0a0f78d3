"""Black-box tests: everything here starts the installed commands and is marked ``real``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from subprocess import TimeoutExpired

import pytest

from tests.real.daemon import BIN, DEFAULT, REFERENCE, Daemon, running

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker("real")


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """One daemon for a module's tests."""
    with running(tmp_path_factory.mktemp("daemon"), argv=DEFAULT) as daemon:
        yield daemon


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """The reference server, to compare answers with."""
    if not (BIN / "jupyter-server").exists():
        pytest.skip("jupyter_server is not installed")
    with suppress(TimeoutExpired), running(tmp_path_factory.mktemp("reference"), argv=REFERENCE, end=5.0) as reference:
        yield reference
