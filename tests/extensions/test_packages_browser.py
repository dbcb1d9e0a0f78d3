"""Extensions' front ends in a real browser, as people use them: all in one page of JupyterLab."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.extensions.pages import CHROMIUM, Browser, Page, lab, page_of, show, sync_api
from tests.extensions.serving import git, new_directory, new_kernels, repository, write_notebook
from tests.gateway.cable import Cable
from tests.real.daemon import TOKEN, Daemon, until

pytestmark = [
    pytest.mark.real,
    pytest.mark.timeout(600),
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium"),
]


@pytest.fixture(scope="module")
def page(daemon: Daemon) -> Iterator[Page]:
    with page_of(daemon) as page:
        yield page


def test_the_memory_bar_shows_the_server_and_its_kernels(daemon: Daemon, page: Page) -> None:
    def script(browser: Browser) -> None:
        def shown() -> float:
            told = re.search(r"Mem: ([\d.]+) MB", browser.page.locator("#jp-main-statusbar").inner_text())
            return float(told[1]) if told else 0.0

        lab(browser)
        browser.see("#jp-main-statusbar", "Mem:")
        alone = until(lambda: shown() > 40 and shown(), 60, "it shows no memory of the server")
        with new_kernels(daemon):
            daemon.start_kernel()
            until(lambda: shown() > alone + 30, 60, "it does not show the kernel's")

    page.run(script)


def test_a_language_server_completes_and_complains(daemon: Daemon, page: Page) -> None:
    def script(browser: Browser) -> None:
        (daemon.root / "a.py").write_text("import os\nprint(not_defined)\nos.getcw")
        editor = show(browser, "a.py")
        browser.see(".cm-lintRange, .cm-lsp-diagnostic, [class*=cm-lintRange]", "not_defined")
        editor.click()
        browser.press("Control+End")
        until(lambda: completes(browser, "getcwd"), 60, "nothing is proposed")
        browser.press("Escape")

    page.run(script)


def completes(browser: Browser, proposed: str) -> bool:
    """Ask for it; JupyterLab gives a language server one second, and a first answer takes longer."""
    browser.press("Tab")
    with suppress(sync_api.TimeoutError):
        browser.page.locator(".jp-Completer", has_text=proposed).wait_for(timeout=4000)
        return True
    return False


def test_a_formatter_formats_what_is_in_the_editor(daemon: Daemon, page: Page) -> None:
    def script(browser: Browser) -> None:
        (daemon.root / "f.py").write_text("x=[1,\n2]")
        editor = show(browser, "f.py")
        browser.page.evaluate("() => window.jupyterapp.commands.execute('jupyterlab_code_formatter:black')")
        until(lambda: "x = [1, 2]" in editor.inner_text(), 60, "it is not formatted")

    page.run(script)


def test_a_change_is_shown_staged_and_committed_by_clicks(daemon: Daemon, page: Page) -> None:
    def script(browser: Browser) -> None:
        repository(daemon, "origin")
        place = new_directory(daemon, "cloned")
        git(daemon.root, "clone", "origin", "cloned")
        git(place, "config", "user.name", "n")
        git(place, "config", "user.email", "a@b.c")
        (place / "a.txt").write_text("b\n")
        lab(browser)
        browser.page.evaluate("() => window.jupyterapp.commands.execute('filebrowser:go-to-path', {path: 'cloned'})")
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

    page.run(script)


def last_message(place: Path) -> str:
    command = ["git", "log", "-1", "--format=%s"]
    return subprocess.run(command, cwd=place, capture_output=True, text=True, check=True).stdout


def test_two_tabs_share_a_document_and_one_loses_its_network(daemon: Daemon, page: Page) -> None:
    """Both are written in while one is offline; what was written is merged when it is back."""
    file = daemon.root / "shared.txt"
    file.write_text("begin\n")
    cable = Cable(daemon.port)

    def script(other: Browser) -> None:
        context = other.page.context.browser.new_context()
        try:
            both(other, context)
        finally:
            context.close()

    def both(other: Browser, context: Any) -> None:
        far = Browser(context.new_page(), Daemon(daemon.process, daemon.home, cable.port))
        far.page.set_default_navigation_timeout(120_000)
        first, second = show(far, "shared.txt"), show(other, "shared.txt")
        write(far, first, "one ")
        until(lambda: "one" in second.inner_text(), 60, "the other tab does not show it")
        write(other, second, "two ")
        until(lambda: "two" in first.inner_text(), 60, "the first tab does not show it")
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
        until(lambda: "three" in second.inner_text(), 60, "what was written offline does not come")
        until(lambda: "four" in first.inner_text(), 60, "what was written meanwhile does not come")
        is_saved(file, {"begin", "one", "two", "three", "four"}, "after it has come back")

    try:
        page.run(script)
    finally:
        cable.remove()


def write(browser: Browser, editor: Any, text: str) -> None:
    editor.click()
    browser.press("Control+End")
    browser.type(text)


def is_saved(file: Path, words: set[str], when: str) -> None:
    """The file is right: within two seconds on a machine that has nothing else to do."""
    began = time.monotonic()
    until(lambda: set(file.read_text().split()) == words, 30, f"{when} the file has {file.read_text()!r}")
    print(f"the file is right {time.monotonic() - began:.2f} seconds later, {when}")


def dismiss(browser: Browser) -> None:
    """Close what JupyterLab says of a server that does not answer."""
    dialog = browser.page.locator(".jp-Dialog button.jp-mod-accept")
    with suppress(sync_api.TimeoutError):
        while dialog.count():
            dialog.first.click(timeout=1000)


def test_a_preview_of_panel_answers_a_button(daemon: Daemon, page: Page) -> None:
    """The page is made by a kernel of the daemon's; it is open to strangers in the reference, and here it is not."""
    code = """
import panel as pn
pn.extension()
button, told = pn.widgets.Button(name="press"), pn.pane.Markdown("nothing yet")
button.on_click(lambda event: setattr(told, "object", "pressed once"))
pn.Column(button, told).servable()
"""

    def script(browser: Browser) -> None:
        write_notebook(daemon, "p.ipynb", code)
        with new_kernels(daemon) as new:
            browser.open(f"/panel-preview/render/p.ipynb?token={TOKEN}")
            browser.see("text=nothing yet")
            browser.see("button:has-text('press')").click()
            browser.see("text=pressed once")
            assert len(new()) == 1

    assert daemon.ask("GET", "/panel-preview/render/p.ipynb", token="").status in (302, 403)
    page.run(script)
