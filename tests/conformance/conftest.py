"""Everything here starts jupyterd and the reference and is marked ``real``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.servers import Pair, pair
from tests.real.daemon import BIN

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker("real")


@pytest.fixture(scope="session")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """jupyterd and the reference, with equal files and settings."""
    if not (BIN / "jupyter-lab").exists():
        pytest.skip("the reference (jupyter_server, which jupyterlab brings) is not installed beside jupyterd")
    with pair(tmp_path_factory.mktemp("pair")) as servers:
        yield servers
