"""The browser that is opened at the start."""

from __future__ import annotations

from pathlib import Path

import pytest

from jupyterd.supervision import browser
from tests.supervision.server import server


def test_the_browser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[tuple[str, int]] = []

    class Browser:
        def open(self, url: str, new: int) -> None:
            opened.append((url, new))

    monkeypatch.setattr("webbrowser.get", lambda name: Browser())
    made = server(tmp_path, port=1, ip="127.0.0.1")
    browser.open_browser(made)
    made.use_redirect_file = False
    browser.open_browser(made)
    assert opened == [(f"file://{made.browser_open_file}", 2), ("http://127.0.0.1:1/?token=t", 2)]


def test_no_browser_found(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    browser.open_browser(server(tmp_path, port=1, browser="no such browser"))
    assert "No web browser found" in caplog.text
