"""Extensions' front ends in a real browser, as people use them; where ``JUPYTERD_ALL_EXTENSIONS=1`` is set."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.extensions.environment import AI, COMMON, RARE, python_of
from tests.extensions.serving import git, repository, started
from tests.extensions.test_packages_rare import end_kernels, ready, write_notebook
from tests.gateway.cable import Cable
from tests.real.daemon import TOKEN, Daemon, until
from tests.real.test_lab_browser import CHROMIUM, Browser, browsing, sync_api

pytestmark = [
    pytest.mark.real,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not os.environ.get("JUPYTERD_ALL_EXTENSIONS"), reason="set JUPYTERD_ALL_EXTENSIONS"),
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium"),
]

EXPOSED = "--LabApp.expose_app_in_browser=True"
Script = Callable[[Browser], None]


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with started(tmp_path_factory.mktemp("pages"), python_of("common", COMMON), EXPOSED) as daemon:
        ready(daemon)
        yield daemon


def on_a_page(daemon: Daemon, home: Path, script: Script) -> None:
    """Run a script, in a thread: Playwright wants one."""

    def whole() -> None:
        with browsing(daemon) as browser:
            browser.page.set_default_navigation_timeout(120_000)
            try:
                script(browser)
            finally:
                with suppress(sync_api.Error):
                    browser.page.screenshot(path=str(home / "last.png"))

    with ThreadPoolExecutor(1) as threads:
        threads.submit(whole).result()


def show(browser: Browser, path: str) -> Any:
    """Open a file in JupyterLab; its editor."""
    browser.open(f"/lab/tree/{path}?reset&token={TOKEN}")  # another test may have left files open
    return browser.see(".jp-FileEditor .cm-content")


def test_a_language_server_completes_and_complains(daemon: Daemon, tmp_path: Path) -> None:
    def script(browser: Browser) -> None:
        (daemon.root / "a.py").write_text("import os\nprint(not_defined)\nos.getcw")
        editor = show(browser, "a.py")
        browser.see(".cm-lintRange, .cm-lsp-diagnostic, [class*=cm-lintRange]", "not_defined")
        editor.click()
        browser.press("Control+End")
        until(lambda: completes(browser, "getcwd"), 60, "nothing is proposed")

    on_a_page(daemon, tmp_path, script)


def completes(browser: Browser, proposed: str) -> bool:
    """Ask for it; JupyterLab gives a language server one second, and a first answer takes longer."""
    browser.press("Tab")
    with suppress(sync_api.TimeoutError):
        browser.page.locator(".jp-Completer", has_text=proposed).wait_for(timeout=4000)
        return True
    return False


def test_a_change_is_shown_staged_and_committed_by_clicks(daemon: Daemon, tmp_path: Path) -> None:
    def script(browser: Browser) -> None:
        repository(daemon, "origin")
        place = daemon.root / "cloned"
        git(daemon.root, "clone", "origin", "cloned")
        git(place, "config", "user.name", "n")
        git(place, "config", "user.email", "a@b.c")
        (place / "a.txt").write_text("b\n")
        show(browser, "cloned/a.txt")
        browser.page.locator("[data-id=jp-git-sessions]").first.click()
        panel = browser.page.locator("#jp-git-sessions")
        browser.page.locator("#jp-git-sessions", has_text="Changed").wait_for()
        panel.get_by_text("a.txt", exact=True).first.hover()
        panel.locator("[title='Diff this file']").first.click(force=True)
        browser.see(".jp-git-diff-parent-widget")
        panel.get_by_text("a.txt", exact=True).first.hover()
        panel.locator("[title='Stage this change']").first.click(force=True)
        panel.locator("textarea").first.fill("by clicks")
        panel.get_by_role("button", name="Commit", exact=True).first.click()
        until(lambda: "by clicks" in last_message(place), 60, "not committed")

    on_a_page(daemon, tmp_path, script)


def last_message(place: Path) -> str:
    command = ["git", "log", "-1", "--format=%s"]
    return subprocess.run(command, cwd=place, capture_output=True, text=True, check=True).stdout


def test_two_tabs_share_a_document_and_one_loses_its_network(daemon: Daemon, tmp_path: Path) -> None:
    """Both are written in while one is offline; what was written is merged when it is back."""
    file = daemon.root / "shared.txt"
    file.write_text("begin\n")
    cable = Cable(daemon.port)

    def script(other: Browser) -> None:
        context = other.page.context.browser.new_context()
        far = Browser(context.new_page(), Daemon(daemon.process, daemon.home, cable.port))
        far.page.set_default_navigation_timeout(120_000)
        first, second = show(far, "shared.txt"), show(other, "shared.txt")
        write(far, first, "one ")
        other.see(".cm-content", "one")
        write(other, second, "two ")
        far.see(".cm-content", "two")
        is_saved(file, {"begin", "one", "two"}, "while both are there")
        cable.refuses = True
        cable.cut()
        context.set_offline(True)
        write(far, first, "three ")
        write(other, second, "four ")
        is_saved(file, {"begin", "one", "two", "four"}, "while one is offline")
        assert "four" not in first.inner_text()
        assert "three" not in second.inner_text()
        dismiss(far)
        cable.refuses = False
        context.set_offline(False)
        other.see(".cm-content", "three")
        far.see(".cm-content", "four")
        is_saved(file, {"begin", "one", "two", "three", "four"}, "after it has come back")
        far.page.screenshot(path=str(tmp_path / "far.png"))

    try:
        on_a_page(daemon, tmp_path, script)
    finally:
        cable.remove()


def write(browser: Browser, editor: Any, text: str) -> None:
    editor.click()
    browser.press("Control+End")
    browser.type(text)


def is_saved(file: Path, words: set[str], when: str) -> None:
    began = time.monotonic()
    until(lambda: set(file.read_text().split()) == words, 30, f"{when} the file has {file.read_text()!r}")
    print(f"the file is right {time.monotonic() - began:.2f} seconds later, {when}")


def dismiss(browser: Browser) -> None:
    """Close what JupyterLab says of a server that does not answer."""
    dialog = browser.page.locator(".jp-Dialog button.jp-mod-accept")
    with suppress(sync_api.TimeoutError):
        while dialog.count():
            dialog.first.click(timeout=1000)


def test_the_memory_bar_shows_the_server_and_its_kernels(daemon: Daemon, tmp_path: Path) -> None:
    def script(browser: Browser) -> None:
        def shown() -> float:
            told = re.search(r"Mem: ([\d.]+) MB", browser.page.locator("#jp-main-statusbar").inner_text())
            return float(told[1]) if told else 0.0

        browser.open(f"/lab?token={TOKEN}")
        browser.see("#jp-main-statusbar", "Mem:")
        alone = until(lambda: shown() > 40 and shown(), 60, "it shows no memory of the server")
        daemon.start_kernel()
        until(lambda: shown() > alone + 30, 60, "it does not show the kernel's")
        end_kernels(daemon)

    on_a_page(daemon, tmp_path, script)


def test_a_preview_of_panel_answers_a_button(tmp_path: Path) -> None:
    code = """
import panel as pn
pn.extension()
button, told = pn.widgets.Button(name="press"), pn.pane.Markdown("nothing yet")
button.on_click(lambda event: setattr(told, "object", "pressed once"))
pn.Column(button, told).servable()
"""

    def script(browser: Browser) -> None:
        write_notebook(browser.daemon, "p.ipynb", code)
        browser.open(f"/panel-preview/render/p.ipynb?token={TOKEN}")
        browser.see("text=nothing yet")
        browser.see("button:has-text('press')").click()
        browser.see("text=pressed once")

    with started(tmp_path / "home", python_of("rare", RARE), only=["panel.io.jupyter_server_extension"]) as daemon:
        ready(daemon)
        on_a_page(daemon, tmp_path, script)
        end_kernels(daemon)


def test_a_chat_of_jupyter_ai(tmp_path: Path) -> None:
    """A message stands in a chat, and in its file; no language model is asked."""

    def script(browser: Browser) -> None:
        daemon = browser.daemon
        (daemon.root / "talk.chat").write_text(json.dumps({"messages": [], "users": {}}))
        browser.open(f"/lab/tree/talk.chat?token={TOKEN}")
        field = browser.see(".jp-chat-input-textfield textarea, .jp-chat-input-textfield [contenteditable]")
        field.fill("hello from the page")
        field.press("Enter")
        browser.see(".jp-chat-message, .jp-chat-rendered-message", "hello from the page")
        until(lambda: "hello from the page" in (daemon.root / "talk.chat").read_text(), 60, "it is not in the file")

    with started(tmp_path / "home", python_of("ai", AI), EXPOSED) as daemon:
        ready(daemon)
        on_a_page(daemon, tmp_path, script)
