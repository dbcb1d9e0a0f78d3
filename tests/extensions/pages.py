"""One Chromium for all tests of a module, each of which runs a script in its page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

from tests.real.daemon import TOKEN, Daemon
from tests.real.test_lab_browser import CHROMIUM, Browser, browsing, sync_api

__all__ = ["CHROMIUM", "Browser", "Page", "lab", "page_of", "show", "sync_api"]

Script = Callable[[Browser], None]


class Page:
    """A page that stays open between scripts; after one that fails it is another.

    Scripts run in one thread: Playwright wants that.
    """

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._threads = ThreadPoolExecutor(1)
        self._open = ExitStack()
        self._browser: Browser | None = None

    def run(self, script: Script) -> None:
        """Run one; what the page shows when it fails is in ``failed.png`` of the daemon's home."""
        self._threads.submit(self._run, script).result()

    def _run(self, script: Script) -> None:
        browser = self._browser
        if browser is None:
            browser = self._browser = self._open.enter_context(browsing(self._daemon))
            browser.page.set_default_navigation_timeout(120_000)
        try:
            script(browser)
        except BaseException:
            with suppress(sync_api.Error):
                browser.page.screenshot(path=str(self._daemon.home / "failed.png"))
                print(*browser.wrong[-20:], f"see {self._daemon.home / 'failed.png'}", sep="\n")
            self._close()
            raise

    def _close(self) -> None:
        self._browser = None
        self._open.close()

    def close(self) -> None:
        """Close it."""
        self._threads.submit(self._close).result()
        self._threads.shutdown()


@contextmanager
def page_of(daemon: Daemon) -> Iterator[Page]:
    """A page in which nothing is open yet."""
    page = Page(daemon)
    try:
        yield page
    finally:
        page.close()


def lab(browser: Browser) -> None:
    """Open JupyterLab, where it is not open already."""
    if not browser.page.evaluate("() => Boolean(window.jupyterapp)"):
        browser.open(f"/lab?reset&token={TOKEN}")
        browser.page.wait_for_function("() => window.jupyterapp", timeout=120_000)
        browser.page.evaluate("() => window.jupyterapp.restored")


def show(browser: Browser, path: str) -> Any:
    """Open a file in JupyterLab; its editor."""
    lab(browser)
    browser.page.evaluate("path => void window.jupyterapp.commands.execute('docmanager:open', {path})", path)
    editor = browser.page.locator(".jp-FileEditor .cm-content:visible")
    browser.page.locator(f".lm-TabBar-tab.jp-mod-current[title*='{path.rpartition('/')[2]}']").wait_for(timeout=60_000)
    editor.wait_for(timeout=60_000)
    return editor
