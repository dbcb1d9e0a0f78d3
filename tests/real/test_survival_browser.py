"""A server that is killed and started again, as a person sees it who has JupyterLab open on a cell that runs."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("playwright.sync_api")

from tests.real.daemon import TWISTD, Daemon, await_answer, common, end_kept, spawn, until
from tests.real.test_lab_browser import CHROMIUM, Browser, in_browser
from tests.real.test_outputs_browser import EXPOSED, Page, Pages

pytestmark = [pytest.mark.real, pytest.mark.skipif(CHROMIUM is None, reason="no Chromium")]

COUNT = """
import os, time
number = 0
while not os.path.exists("stop"):
    print(number, flush=True)
    number += 1
    time.sleep(0.05)
print("over")
"""
AWAY = ("ERR_CONNECTION_REFUSED", "ERR_CONNECTION_RESET", "WebSocket connection to", "Failed to fetch", "NetworkError")
"""What a page complains of while no server is there."""
PICTURE = os.environ.get("JUPYTERD_PICTURE")
"""Where a picture of the page is left, for people."""


def killed_and_started_again(daemon: Daemon, wait: Callable[[], None]) -> None:
    """The same command on the same port; the process of before is gone for a while."""
    daemon.process.kill()
    daemon.process.wait()
    wait()
    again = spawn(daemon.home, [*common(daemon.home, daemon.port), *EXPOSED], TWISTD)
    daemon.process = again.process
    await_answer(daemon, 60.0)


def numbers(page: Page) -> list[int]:
    return [int(line) for line in page.text().split("\n") if line.isdigit()]


def test_the_page_comes_back_by_itself_and_has_all_that_the_cell_said(tmp_path: Path) -> None:
    def script(pages: Pages, daemon: Daemon) -> None:
        page = pages.open()
        page.run()
        page.says("\n20\n")
        kernel = daemon.json("GET", "/api/kernels")[0]["id"]
        killed_and_started_again(daemon, lambda: page.page.wait_for_timeout(3000))
        assert [each["id"] for each in daemon.json("GET", "/api/kernels")] == [kernel]
        said = numbers(page)[-1]
        until(lambda: numbers(page)[-1] > said + 100, 90, "the page did not come back")
        lost = page.page.locator(".jp-Dialog", has_text="Server Connection Error")
        if lost.count():  # JupyterLab's own, while no server is there; what is behind it goes on meanwhile
            lost.get_by_role("button", name="Close").click()
        assert not page.has_dialog()
        if PICTURE:
            page.page.screenshot(path=PICTURE)
        pages.go("stop")
        page.says("over\n")
        page.prompt("[1]:")
        page.run(cell=1)
        page.says("counted to", 1)
        shown = numbers(page)
        assert shown == list(range(len(shown)))
        assert page.text(1) == f"counted to {len(shown)}\n"

    def whole(browser: Browser) -> None:
        pages = Pages(browser, "lab", COUNT, "print('counted to', number)")
        script(pages, browser.daemon)
        pages.forgive()
        browser.wrong[:] = [text for text in browser.wrong if not any(known in text for known in AWAY)]

    try:
        in_browser(tmp_path, whole, *EXPOSED)
    finally:
        end_kept(tmp_path)
