"""Extensions' front ends in a real browser, as people use them; where ``JUPYTERD_ALL_EXTENSIONS=1`` is set."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.extensions.environment import COMMON, python_of
from tests.extensions.test_packages import git, repository, started
from tests.real.daemon import TOKEN, Daemon, until
from tests.real.test_lab_browser import CHROMIUM, Browser, browsing, sync_api

pytestmark = [
    pytest.mark.real,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not os.environ.get("JUPYTERD_ALL_EXTENSIONS"), reason="set JUPYTERD_ALL_EXTENSIONS"),
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium"),
]

PAGES = (*COMMON, "jupyterlab-lsp", "pyflakes")
EXPOSED = "--LabApp.expose_app_in_browser=True"


def in_lab(home: Path, script: Callable[[Daemon, Browser], None]) -> None:
    """Run a script on a page of a daemon with all of the common extensions, in a thread: Playwright wants one."""

    def whole() -> None:
        with started(home / "home", python_of("pages", PAGES), EXPOSED) as daemon, browsing(daemon) as browser:
            ready = lambda: daemon.json("GET", "/api/extensions")["host"]["state"] == "ready"  # noqa: E731
            until(ready, 180)
            browser.page.set_default_navigation_timeout(120_000)
            try:
                script(daemon, browser)
            finally:
                browser.page.screenshot(path=str(home / "last.png"))

    with ThreadPoolExecutor(1) as threads:
        threads.submit(whole).result()


def show(browser: Browser, path: str) -> Any:
    """Open a file in JupyterLab; its editor."""
    browser.open(f"/lab/tree/{path}?token={TOKEN}")
    return browser.see(".jp-FileEditor .cm-content")


def test_a_language_server_completes_and_complains(tmp_path: Path) -> None:
    def script(daemon: Daemon, browser: Browser) -> None:
        (daemon.root / "a.py").write_text("import os\nprint(not_defined)\nos.getcw")
        editor = show(browser, "a.py")
        browser.see(".cm-lintRange, .cm-lsp-diagnostic, [class*=cm-lintRange]", "not_defined")
        editor.click()
        browser.press("Control+End")
        until(lambda: completes(browser, "getcwd"), 60, "nothing is proposed")

    in_lab(tmp_path, script)


def completes(browser: Browser, proposed: str) -> bool:
    """Ask for it; JupyterLab gives a language server one second, and a first answer takes longer."""
    browser.press("Tab")
    with suppress(sync_api.TimeoutError):
        browser.page.locator(".jp-Completer", has_text=proposed).wait_for(timeout=4000)
        return True
    return False


def test_a_change_is_staged_and_committed_by_clicks(tmp_path: Path) -> None:
    def script(daemon: Daemon, browser: Browser) -> None:
        place = repository(daemon, "repo")
        git(place, "config", "user.name", "n")
        git(place, "config", "user.email", "a@b.c")
        (place / "a.txt").write_text("b\n")
        show(browser, "repo/a.txt")
        browser.page.locator("[data-id=jp-git-sessions]").first.click()
        browser.page.locator("#jp-git-sessions", has_text="Changed").wait_for()
        panel = browser.page.locator("#jp-git-sessions")
        panel.get_by_text("a.txt", exact=True).first.hover()
        panel.locator("[title='Stage this change']").first.click(force=True)
        panel.locator("textarea").first.fill("by clicks")
        panel.get_by_role("button", name="Commit", exact=True).first.click()
        until(lambda: "by clicks" in last_message(place), 60, "not committed")

    in_lab(tmp_path, script)


def last_message(place: Path) -> str:
    command = ["git", "log", "-1", "--format=%s"]
    return subprocess.run(command, cwd=place, capture_output=True, text=True, check=True).stdout


def test_two_tabs_share_a_document_and_one_comes_back(tmp_path: Path) -> None:
    def script(daemon: Daemon, browser: Browser) -> None:
        file = daemon.root / "shared.txt"
        file.write_text("begin\n")
        first = show(browser, "shared.txt")
        other = Browser(browser.page.context.browser.new_context().new_page(), daemon)
        other.page.set_default_navigation_timeout(120_000)
        second = show(other, "shared.txt")
        write(browser, first, "one ")
        other.see(".cm-content", "one")
        write(other, second, "two ")
        browser.see(".cm-content", "two")
        until(lambda: {"one", "two", "begin"} <= set(file.read_text().split()), 20, "the file does not have it")
        daemon.json("POST", "/api/extensions/restart")  # both are offline
        write(other, second, "three ")
        browser.see(".cm-content", "three")
        write(browser, first, "four ")
        other.see(".cm-content", "four")
        until(lambda: set(file.read_text().split()) == {"one", "two", "three", "four", "begin"}, 30, file.read_text())

    in_lab(tmp_path, script)


def write(browser: Browser, editor: Any, text: str) -> None:
    editor.click()
    browser.press("Control+End")
    browser.type(text)
