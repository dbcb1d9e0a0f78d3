"""In a real browser: scripts in what users wrote can not reach the session."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.auth.daemon_process import TOKEN, Daemon, daemon

pytestmark = pytest.mark.real

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
SCRIPT = """
<script>
(async () => {
  const found = {};
  try { found.cookie = document.cookie; } catch (error) { found.cookie = "refused"; }
  try { found.storage = String(window.localStorage.length); } catch (error) { found.storage = "refused"; }
  try {
    const answer = await fetch("/api/contents");
    found.read = answer.status;
  } catch (error) { found.read = "refused"; }
  try {
    const answer = await fetch("/api/contents", {method: "POST", body: "{}", credentials: "include"});
    found.write = answer.status;
  } catch (error) { found.write = "refused"; }
  document.title = "found " + JSON.stringify(found);
})();
</script>
"""
NOTEBOOK = {
    "cells": [
        {"cell_type": "markdown", "id": "a", "metadata": {}, "source": SCRIPT},
        {
            "cell_type": "code", "id": "b", "metadata": {}, "source": "", "execution_count": 1,
            "outputs": [{"output_type": "display_data", "data": {"text/html": SCRIPT}, "metadata": {}}],
        },
    ],
    "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3"}},
    "nbformat": 4,
    "nbformat_minor": 5,
}  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    home: Path = tmp_path_factory.mktemp("browser")
    (home / "root").mkdir()
    (home / "root" / "evil.html").write_text(SCRIPT)
    (home / "root" / "evil.svg").write_text(f'<svg xmlns="http://www.w3.org/2000/svg">{SCRIPT}</svg>')
    (home / "root" / "evil.ipynb").write_text(json.dumps(NOTEBOOK))
    with daemon(home) as running:
        yield running


def browse(body: Callable[[Any], None]) -> None:
    """Run ``body`` with a browser, in a thread of its own: Playwright brings an event loop, and so do these tests."""
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")

    def run() -> None:
        with playwright.sync_playwright() as started:
            chromium = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
            try:
                body(chromium)
            finally:
                chromium.close()

    with ThreadPoolExecutor(1) as pool:
        pool.submit(run).result()


def left_behind(server: Daemon) -> list[str]:
    return sorted(os.listdir(server.home / "root"))


@pytest.mark.parametrize("path", ["/files/evil.html", "/nbconvert/html/evil.ipynb"])
def test_cve_2026_44727_2018_19351_script_of_a_file_reaches_neither_cookies_nor_the_api(
    server: Daemon, path: str
) -> None:
    before = left_behind(server)
    browse(lambda chromium: _open(chromium, server, path))
    assert left_behind(server) == before


def _open(chromium: Any, server: Daemon, path: str) -> None:
    context = chromium.new_context()
    page = context.new_page()
    base = f"http://127.0.0.1:{server.port}"
    page.goto(f"{base}/login?token={TOKEN}")
    assert any(cookie["name"].startswith("username-") for cookie in context.cookies())
    # As a link in our own pages: with their Referer.
    page.goto(f"{base}/login")
    page.evaluate("path => { location.href = path; }", path)
    page.wait_for_url(f"{base}{path}", timeout=30_000)
    page.wait_for_function("document.title.startsWith('found ')", timeout=30_000)
    found = json.loads(page.title().removeprefix("found "))
    assert found["cookie"] == "refused"
    assert found["storage"] == "refused"
    assert found["read"] == "refused"
    assert found["write"] == "refused"


def test_login_page_works_without_script(server: Daemon) -> None:
    browse(lambda chromium: _log_in(chromium, server))


def _log_in(chromium: Any, server: Daemon) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    base = f"http://127.0.0.1:{server.port}"
    page.goto(f"{base}/login?next=%2Fapi%2Fme")
    page.get_by_label("Password or token").fill("wrong")
    page.get_by_role("button", name="Log in", exact=True).click()
    assert page.get_by_role("alert").inner_text() == "Invalid credentials"
    page.get_by_label("Password or token").fill(TOKEN)
    page.get_by_role("button", name="Log in", exact=True).click()
    page.wait_for_url(f"{base}/api/me")
    assert "identity" in page.content()
    page.goto(f"{base}/logout")
    assert page.get_by_role("status").inner_text() == "Successfully logged out."
    page.goto(f"{base}/view/evil.html")
    assert page.url.startswith(f"{base}/login?next=")
