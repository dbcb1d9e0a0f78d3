"""JupyterLab in a real browser, from a daemon started as the README says."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from jupyterd.frontends.packages import package_dir
from tests.real.daemon import TOKEN, TWISTD, Daemon, running, until

sync_api = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
LONG = 60_000
pytestmark = [pytest.mark.real, pytest.mark.skipif(CHROMIUM is None, reason="no Chromium")]


@dataclass
class Browser:
    """A page, and all that went wrong on it."""

    page: Any
    daemon: Daemon
    wrong: list[str] = field(default_factory=list)

    def watch(self) -> None:
        self.page.on("console", lambda m: self.wrong.append(f"console: {m.text}") if m.type == "error" else None)
        self.page.on("pageerror", lambda error: self.wrong.append(f"exception: {error} {error.stack}"))
        self.page.on("requestfailed", self._failed)
        self.page.on("response", lambda r: self.wrong.append(f"{r.status} {r.url}") if r.status >= 400 else None)

    def _failed(self, request: Any) -> None:
        if request.failure != "net::ERR_ABORTED":  # requests that a reload cuts off
            self.wrong.append(f"{request.failure}: {request.method} {request.url}")

    def open(self, path: str) -> None:
        self.page.goto(f"http://127.0.0.1:{self.daemon.port}{self.daemon.base}{path}")

    def type(self, text: str) -> None:
        self.page.keyboard.type(text, delay=5)

    def press(self, keys: str) -> None:
        self.page.keyboard.press(keys)

    def see(self, selector: str, text: str | None = None, state: str = "visible") -> Any:
        found = self.page.locator(selector, has_text=text) if text is not None else self.page.locator(selector)
        found.first.wait_for(timeout=LONG, state=state)
        return found.first

    def see_kernel_idle(self) -> None:
        """Wait for a kernel that the page has a connection to. JupyterLab shows one as idle before there is any, and
        drops what is run until then."""

        def connected() -> bool:
            kernels = self.daemon.json("GET", "/api/kernels")
            return any(kernel["connections"] and kernel["execution_state"] == "idle" for kernel in kernels)

        until(connected, LONG / 1000, what="no kernel is idle and connected")
        self.see(".jp-NotebookPanel .jp-Notebook-ExecutionIndicator[data-status=idle]")


@contextmanager
def browsing(daemon: Daemon) -> Iterator[Browser]:
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        try:
            browser = Browser(chromium.new_page(viewport={"width": 1300, "height": 850}), daemon)
            browser.watch()
            yield browser
        finally:
            chromium.close()


def in_browser(home: Path, script: Callable[[Browser], None], *options: str, base: str = "") -> None:
    """Run ``script`` on a new daemon, in a thread: Playwright wants one without a running loop."""

    def whole() -> None:
        start = based(home, base, *options) if base else running(home, *options, argv=TWISTD)
        with start as daemon, browsing(daemon) as browser:
            try:
                script(browser)
            except Exception:
                with suppress(sync_api.Error):  # a page that the script has closed
                    browser.page.screenshot(path=str(home / "failed.png"))
                print(daemon.log[-4000:], browser.wrong, f"see {home / 'failed.png'}", sep="\n")
                raise
            assert browser.wrong == [], "\n".join(browser.wrong)
        assert "Traceback" not in daemon.log

    with ThreadPoolExecutor(1) as threads:
        threads.submit(whole).result()


@contextmanager
def based(home: Path, base: str, *options: str) -> Iterator[Daemon]:
    from tests.real import daemon as daemons

    port = daemons.free_port()
    daemon = daemons.spawn(home, [*daemons.common(home, port), f"--ServerApp.base_url={base}/", *options], TWISTD)
    daemon.port, daemon.base = port, base
    try:
        daemons.await_answer(daemon)
        yield daemon
    finally:
        daemon.stop()


def outputs(path: Path) -> list[str]:
    """The text of all outputs of a saved notebook."""
    try:
        cells = json.loads(path.read_text())["cells"]
    except (OSError, ValueError):
        return []
    found = [output for cell in cells for output in cell.get("outputs", ())]
    return ["".join(output.get("text") or output.get("data", {}).get("text/plain", "")) for output in found]


def write_and_run(browser: Browser) -> Path:
    """A new notebook with two cells that have run, saved under its first name."""
    browser.see(".jp-LauncherCard[data-category=Notebook]").click()
    browser.see(".jp-Notebook .jp-CodeCell .cm-content").click()
    browser.see_kernel_idle()
    browser.type("import os; print('pid is', os.getpid() > 0)")
    browser.press("Shift+Enter")
    with suppress(sync_api.TimeoutError):
        browser.page.locator(".jp-OutputArea-output", has_text="pid is True").wait_for(timeout=5000)
    if not browser.page.locator(".jp-OutputArea-output").count():
        # JupyterLab, on any server, drops what is run while its connection to a new kernel settles.
        browser.see(".jp-Notebook .jp-CodeCell .cm-content").click()
        browser.press("Shift+Enter")
    browser.see(".jp-OutputArea-output", "pid is True")
    browser.type("6 * 7")
    browser.press("Shift+Enter")
    browser.see(".jp-OutputArea-output", "42")
    browser.press("Control+s")
    dialog = browser.page.locator(".jp-Dialog button.jp-mod-accept")
    with suppress(sync_api.TimeoutError):  # saved without a question
        dialog.first.click(timeout=3000)
    saved = browser.daemon.root / "Untitled.ipynb"
    until(lambda: outputs(saved) == ["pid is True\n", "42"], what="the notebook was not saved with its outputs")
    return saved


def test_notebook_is_written_run_saved_and_found_again(tmp_path: Path) -> None:
    def script(browser: Browser) -> None:
        browser.open(f"/lab?token={TOKEN}")
        browser.see(".jp-LauncherCard")
        assert "token" not in browser.page.url
        write_and_run(browser)
        kernels = {kernel["id"] for kernel in browser.daemon.json("GET", "/api/kernels")}
        browser.page.reload()
        browser.see(".jp-OutputArea-output", "pid is True")
        browser.see(".jp-OutputArea-output", "42")
        assert {kernel["id"] for kernel in browser.daemon.json("GET", "/api/kernels")} == kernels
        browser.see(".jp-Notebook .jp-CodeCell .cm-content").click()
        browser.press("Shift+Enter")  # the kernel of before the reload still answers
        browser.see(".jp-InputPrompt", "[3]:")

    in_browser(tmp_path, script)


def test_everything_works_below_a_base_url(tmp_path: Path) -> None:
    def script(browser: Browser) -> None:
        browser.open(f"/?token={TOKEN}")
        browser.see(".jp-LauncherCard")
        assert re.search(r"/user/me%40here/lab", browser.page.url)
        write_and_run(browser)

    in_browser(tmp_path, script, base="/user/me%40here")


def test_terminal_shows_what_a_shell_writes_and_survives_a_reload(tmp_path: Path) -> None:
    def script(browser: Browser) -> None:
        browser.open(f"/lab?token={TOKEN}")
        browser.see(".jp-LauncherCard[data-category=Other]", "Terminal").click()
        browser.see(".jp-Terminal .xterm-helper-textarea", state="attached")
        time.sleep(1)  # the shell's first prompt
        browser.page.locator(".jp-Terminal").click()
        browser.type("stty size > size; echo $JUPYTER_SERVER_ROOT > where")
        browser.press("Enter")
        where, size = browser.daemon.root / "where", browser.daemon.root / "size"
        until(lambda: where.exists() and where.read_text().strip() == str(browser.daemon.root))
        rows, columns = map(int, size.read_text().split())
        assert rows > 25
        assert columns > 80, "the terminal did not take the browser's size"
        browser.page.reload()
        browser.see(".jp-Terminal .xterm-helper-textarea", state="attached")
        assert len(browser.daemon.json("GET", "/api/terminals")) == 1
        browser.page.locator(".jp-Terminal").click()
        browser.type("exit")
        browser.press("Enter")
        until(lambda: browser.daemon.json("GET", "/api/terminals") == [])

    in_browser(tmp_path, script)


def test_settings_themes_and_workspaces_are_kept(tmp_path: Path) -> None:
    def script(browser: Browser) -> None:
        browser.open(f"/lab?token={TOKEN}")
        browser.see(".jp-LauncherCard")
        browser.page.locator(".lm-MenuBar-item", has_text="Settings").click()
        browser.page.locator(".lm-Menu-item", has_text="Theme").first.hover()
        browser.page.locator(".lm-Menu-itemLabel").get_by_text("JupyterLab Dark", exact=True).click()
        dark = "body[data-jp-theme-name='JupyterLab Dark']"
        browser.see(dark, state="attached")
        browser.page.reload()
        browser.see(dark, state="attached")
        browser.see(".jp-LauncherCard")
        theme = browser.daemon.json("GET", "/lab/api/settings/@jupyterlab/apputils-extension:themes")
        assert theme["settings"] == {"theme": "JupyterLab Dark"}
        until(lambda: browser.daemon.json("GET", "/lab/api/workspaces")["workspaces"]["ids"] == ["default"])

    in_browser(tmp_path, script)


def test_a_converted_notebook_has_no_rights_on_the_server(tmp_path: Path) -> None:
    """A script in a notebook's output must not read cookies or call the API as its reader."""
    tricks = (
        "<script>document.title = 'ran';"
        "try { document.title += document.cookie } catch (e) { document.title += '-no' }"
        "fetch('/api/kernels', {credentials: 'include'}).then(r => r.json()).then(() => document.title = 'read',"
        " () => document.title += '-refused')</script>"
    )
    output = {"output_type": "display_data", "data": {"text/html": tricks}, "metadata": {}}
    cell = {"cell_type": "code", "id": "a", "execution_count": 1, "metadata": {}, "outputs": [output], "source": ""}
    notebook = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}

    def script(browser: Browser) -> None:
        (browser.daemon.root / "evil.ipynb").write_text(json.dumps(notebook))
        browser.open(f"/lab?token={TOKEN}")
        browser.see(".jp-LauncherCard")
        assert browser.wrong == []
        cookies = {cookie["name"]: cookie["value"] for cookie in browser.page.context.cookies()}
        browser.open(f"/nbconvert/html/evil.ipynb?_xsrf={cookies['_xsrf']}")
        browser.page.wait_for_function("document.title.endsWith('-refused')", timeout=LONG)
        assert browser.page.title() == "ran-no-refused"
        browser.wrong.clear()  # what the sandbox refused

    in_browser(tmp_path, script)


@pytest.mark.skipif(package_dir("notebook") is None, reason="no Notebook 7")
def test_notebook_7_lists_opens_and_runs(tmp_path: Path) -> None:
    def script(browser: Browser) -> None:
        cell = {"cell_type": "code", "id": "a", "execution_count": None, "metadata": {}, "outputs": [], "source": "6*7"}
        spec = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
        notebook = {"cells": [cell], "metadata": spec, "nbformat": 4, "nbformat_minor": 5}
        (browser.daemon.root / "a b.ipynb").write_text(json.dumps(notebook))
        browser.open(f"/tree?token={TOKEN}")
        browser.see(".jp-DirListing-itemText", "a b.ipynb")
        browser.open("/tree/a%20b.ipynb")
        assert browser.page.url.endswith("/notebooks/a%20b.ipynb")
        browser.see(".jp-Notebook .jp-CodeCell .cm-content").click()
        browser.see_kernel_idle()
        browser.press("Shift+Enter")
        browser.see(".jp-OutputArea-output", "42")
        for path in ("/edit/a%20b.ipynb", "/consoles/x", "/terminals/1", "/notebooks"):
            answer = browser.daemon.ask("GET", path)
            assert answer.status == (302 if path == "/notebooks" else 200), path
        # Notebook 7.6 throws this on every server.
        browser.wrong = [text for text in browser.wrong if "reading 'schema'" not in text]

    in_browser(tmp_path, script)


def test_the_rest_of_lab_that_asks_the_server(tmp_path: Path) -> None:
    """Settings editor, licenses, export, plugin and extension panels, console, running panel, shutdown."""

    def script(browser: Browser) -> None:
        def command(name: str, **arguments: Any) -> None:
            browser.page.evaluate("([n, a]) => { window.jupyterapp.commands.execute(n, a) }", [name, arguments])

        browser.open(f"/lab?token={TOKEN}")
        browser.see(".jp-LauncherCard")
        write_and_run(browser)
        browser.page.locator(".lm-MenuBar-item", has_text="File").click()
        browser.page.locator(".lm-Menu-item", has_text="Save and Export Notebook As").hover()
        browser.page.locator(".lm-Menu-itemLabel").get_by_text("HTML", exact=True).click()
        answers = browser.page.context
        with answers.expect_event("response", lambda answer: "/nbconvert/" in answer.url, timeout=LONG) as answer:
            browser.see(".jp-Dialog button.jp-mod-accept").click()  # sanitized
        assert answer.value.status == 200
        assert answer.value.headers["content-disposition"] == "attachment; filename*=utf-8''Untitled.html"
        command("settingeditor:open")
        browser.see(".jp-SettingsPanel")
        command("pluginmanager:open")
        browser.see(".jp-pluginmanager-PluginList, .jp-pluginmanager")
        command("help:licenses")
        browser.see(".jp-Licenses")
        command("console:create", kernelPreference={"name": "python3"})
        browser.see(".jp-CodeConsole")
        command("running:show-panel")
        browser.see(".jp-RunningSessions-item", "Untitled.ipynb")
        until(lambda: len(browser.daemon.json("GET", "/api/sessions")) == 2)
        assert browser.daemon.json("GET", "/lab/api/plugins") == {"lockRules": [], "allLocked": False}
        assert browser.wrong == [], "\n".join(browser.wrong)
        command("filemenu:shutdown")
        browser.see(".jp-Dialog button.jp-mod-accept").click()
        browser.see(".jp-Dialog", "Server stopped")
        assert browser.daemon.process.wait(20) == 0
        browser.wrong.clear()  # a page whose server ends complains about that

    in_browser(tmp_path, script, "--LabApp.expose_app_in_browser=True")
