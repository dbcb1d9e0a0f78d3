"""The process as it was before a test."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest


@pytest.fixture
def as_it_was(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The process has the signals, loggers and limits that it had."""
    import logging
    import resource

    monkeypatch.setattr("gc.freeze", lambda: None)
    root = logging.getLogger()
    handlers, level, limit = list(root.handlers), root.level, resource.getrlimit(resource.RLIMIT_NOFILE)
    signals = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.getLogger("ServerApp").handlers.clear()
    resource.setrlimit(resource.RLIMIT_NOFILE, limit)
    for number, handler in signals.items():
        signal.signal(number, handler)
