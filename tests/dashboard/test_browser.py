"""The dashboard in a real browser: what runs is shown, and its buttons do what they say."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.real.daemon import TOKEN, Daemon, until
from tests.real.test_lab_browser import CHROMIUM, Browser, in_browser

pytestmark = [pytest.mark.real, pytest.mark.skipif(CHROMIUM is None, reason="no Chromium")]
COUNT = "import time\nfor number in range(3000):\n    print(number)\n    time.sleep(0.01)"


def session(daemon: Daemon, path: str) -> str:
    """A new notebook session's kernel."""
    asked = {"path": path, "name": "", "type": "notebook", "kernel": {"name": "python3"}}
    return str(daemon.json("POST", "/api/sessions", asked)["kernel"]["id"])


def test_kernels_are_seen_interrupted_and_shut_down(tmp_path: Path) -> None:
    in_browser(tmp_path, script)


def script(browser: Browser) -> None:
    daemon, page = browser.daemon, browser.page
    strangers = [daemon.ask("GET", path, token="").status for path in ("/api/jupyterd/status", "/api/jupyterd/log")]
    assert strangers == [403, 403]
    assert daemon.ask("GET", "/jupyterd", token="").status == 302

    kernel = session(daemon, "a folder/counts.ipynb")
    daemon.json("POST", f"/api/kernels/{kernel}/execute", {"code": COUNT})
    page.set_viewport_size({"width": 390, "height": 800})
    page.emulate_media(color_scheme="dark")
    browser.open(f"/jupyterd?token={TOKEN}")
    card = f"[data-kernel='{kernel}']"
    browser.see(f"{card} .state.busy")
    assert "a folder/counts.ipynb" in page.inner_text(f"{card} h3")
    page.wait_for_function(f"!document.querySelector(`{card}`).innerText.includes('messages 0/s')", timeout=30_000)
    assert page.get_attribute(f"{card} .buttons a", "href") == "/lab/tree/a%20folder/counts.ipynb"
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")  # nothing sticks out of a phone
    page.click(f"{card} [data-action=Interrupt]")
    browser.see(f"{card} .state.idle")

    # Who moves by keyboard does not begin at the top again when the page is made anew.
    page.focus(f"{card} [data-action=Restart]")
    page.wait_for_timeout(3000)
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Restart a folder/counts.ipynb"

    page.click(f"{card} [data-action='Shut down']")
    browser.press("Escape")  # not sure
    assert [one["id"] for one in daemon.json("GET", "/api/kernels")] == [kernel]
    page.click(f"{card} [data-action='Shut down']")
    page.click("#sure-yes")
    page.wait_for_selector(card, state="detached", timeout=30_000)
    until(lambda: daemon.json("GET", "/api/kernels") == [])
    browser.see("#no-kernels")
    assert "Kernel started" in page.inner_text("#log")
