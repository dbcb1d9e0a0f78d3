"""What every test stands on: a home of its own, so that no test reads or writes the machine's Jupyter files."""

from __future__ import annotations

import functools
import inspect
import os
import re
import signal
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.left_behind import left_behind

SLOW_MACHINE = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]
"""Files and messages are big on purpose, and the machine may be busy: neither is a failure."""
settings.register_profile("jupyterd", deadline=None, suppress_health_check=SLOW_MACHINE)
settings.register_profile("quick", parent=settings.get_profile("jupyterd"), max_examples=10)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "jupyterd"))

# A shell starts what it puts in the background so, and nohup: all that is started here would inherit it.
for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, usual)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Modules of nothing but real tests are not imported for the units alone: they need what units do without."""
    if not config.option.markexpr.startswith("not real") or collection_path.suffix != ".py":
        return None
    if not WHOLLY_REAL.isdisjoint(collection_path.relative_to(HERE).parts):
        return True
    text = collection_path.read_text(encoding="utf-8")
    return True if re.search(r"^pytestmark = \[?\s*pytest\.mark\.real\b", text, re.MULTILINE) else None


def pytest_itemcollected(item: pytest.Item) -> None:
    """Where tests run in two lanes (``-n 2 --dist loadgroup``), a file's stay in one, and all browsers in one."""
    item.add_marker(pytest.mark.xdist_group("pages" if "browser" in item.path.stem else str(item.path)))


HERE = Path(__file__).parent
WHOLLY_REAL = frozenset({"real", "conformance", "soak"})
"""Folders of real tests alone."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What runs real processes gets two more tries, which the summary tells: the machine may be busy with others."""
    without_lab = find_spec("jupyterlab") is None
    for item in items:
        if item.get_closest_marker("real"):
            item.add_marker(pytest.mark.flaky(reruns=2, reruns_delay=2))
        if without_lab and item.get_closest_marker("lab"):
            item.add_marker(pytest.mark.skip(reason="JupyterLab is not installed"))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Why a test needed another try: that may be a real race."""
    for report in terminalreporter.stats.get("rerun", []):
        terminalreporter.section(f"a failed try of {report.nodeid}")
        terminalreporter.write_line(report.longreprtext[-6000:])
        for name, text in report.sections:
            terminalreporter.write_line(f"{name}: {text[-2000:]}")


LIMIT = 240.0
"""Seconds that a test may wait for what never comes. ``timeout`` in pyproject.toml is for what blocks the reactor."""


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> None:
    """An asynchronous test fails at its limit, and the reactor lives on."""
    test = pyfuncitem.obj
    if not inspect.iscoroutinefunction(test):
        return

    @functools.wraps(test)
    async def limited(**kwargs: Any) -> None:
        from twisted.internet import reactor
        from twisted.internet.defer import Deferred

        await Deferred.fromCoroutine(test(**kwargs)).addTimeout(LIMIT, reactor)

    pyfuncitem.obj = limited


@pytest.fixture(scope="session", autouse=True)
def nothing_is_left_behind(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No server, keeper or kernel outlives the run whose directories it has; their names tell the test."""
    yield
    if any(item.get_closest_marker("real") for item in request.session.items):
        left = left_behind(tmp_path_factory.getbasetemp())
        assert not left, "processes are left behind:\n" + "\n".join(left)


@pytest.fixture(autouse=True)
def jupyter_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Jupyter's configuration, data and runtime directories, empty and below one temporary directory."""
    home = tmp_path_factory.mktemp("jupyter")
    for name in [name for name in os.environ if name.startswith(("JUPYTER_", "JPY_"))]:
        monkeypatch.delenv(name)
    for kind in ("CONFIG", "DATA", "RUNTIME"):
        monkeypatch.setenv(f"JUPYTER_{kind}_DIR", str(home / kind.lower()))
    return home
