"""The limit of open files."""

from __future__ import annotations

import pytest

from jupyterd.supervision.open_files_limit import raise_open_files


def test_the_limit_of_open_files(monkeypatch: pytest.MonkeyPatch) -> None:
    import resource

    limits = [(100, 1000)]
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda _, new: limits.append(new))
    assert raise_open_files(500) == (100, 500)
    assert raise_open_files(400) is None
    assert raise_open_files(5000) == (500, 1000)
    assert raise_open_files(None) is None
    assert limits == [(100, 1000), (500, 1000), (1000, 1000)]
