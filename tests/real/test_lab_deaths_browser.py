"""A kernel's death as a person in JupyterLab sees it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("playwright.sync_api")

from tests.real.daemon import TOKEN, until
from tests.real.test_lab_browser import CHROMIUM, Browser, in_browser

pytestmark = [pytest.mark.real, pytest.mark.skipif(CHROMIUM is None, reason="no Chromium")]


def open_notebook(browser: Browser) -> None:
    browser.open(f"/lab?token={TOKEN}")
    browser.see(".jp-LauncherCard[data-category=Notebook]").click()
    browser.see(".jp-Notebook .jp-CodeCell .cm-content").click()
    browser.see_kernel_idle()


def where_kernels_die(home: Path, script: Callable[[Browser], None], *options: str) -> None:
    """Run ``script`` in a page; its question to the debugger of a kernel that is killed may have no answer."""

    def whole(browser: Browser) -> None:
        script(browser)
        browser.wrong = [text for text in browser.wrong if "restore the debugger state: Canceled future" not in text]

    in_browser(home, whole, *options)


def states(browser: Browser) -> list[str]:
    return [kernel["execution_state"] for kernel in browser.daemon.json("GET", "/api/kernels")]


def test_the_cell_that_ran_says_why_and_the_next_one_works(tmp_path: Path) -> None:
    def script(browser: Browser) -> None:
        open_notebook(browser)
        browser.type("import os; os.kill(os.getpid(), 11)")
        browser.press("Shift+Enter")
        browser.see(".jp-OutputArea-output", "killed by SIGSEGV")
        browser.see(".jp-Dialog", "Kernel Restarting")
        browser.see(".jp-Dialog button.jp-mod-accept").click()
        browser.page.locator(".jp-Notebook .jp-CodeCell .cm-content").nth(1).click()
        browser.type("print(6 * 7)")
        browser.press("Shift+Enter")
        browser.see(".jp-OutputArea-output", "42")

    where_kernels_die(tmp_path, script)


def test_a_notebook_whose_kernel_is_dead_gets_a_new_one(tmp_path: Path) -> None:
    def script(browser: Browser) -> None:
        open_notebook(browser)
        browser.type("import os; os.kill(os.getpid(), 9)")
        browser.press("Shift+Enter")
        browser.see(".jp-OutputArea-output", "killed by SIGKILL")
        (kernel,) = browser.daemon.json("GET", "/api/kernels")
        assert kernel["execution_state"] == "dead"
        assert "SIGKILL" in kernel["reason"]
        browser.page.reload()
        browser.see(".jp-Dialog button.jp-mod-accept", "Select").click()
        until(lambda: states(browser) == ["idle"], what="no new kernel took its place")

    where_kernels_die(tmp_path, script, "--KernelManager.autorestart=False")


def test_a_kernel_that_can_not_start_says_why(tmp_path: Path) -> None:
    spec = tmp_path / "data" / "kernels" / "broken"
    spec.mkdir(parents=True)
    (spec / "kernel.json").write_text(
        '{"argv": ["python", "-m", "no_such_kernel", "{connection_file}"], "display_name": "Broken", "language": "x"}'
    )

    def script(browser: Browser) -> None:
        browser.open(f"/lab?token={TOKEN}")
        browser.see(".jp-LauncherCard[title*=Broken], .jp-LauncherCard", "Broken").click()
        browser.see(".jp-Dialog", "No module named no_such_kernel")
        # ipywidgets' manager looks for the kernel of every notebook, and does not reckon with one that has none.
        expected = ("500", "@jupyter-widgets/jupyterlab-manager")
        browser.wrong[:] = [each for each in browser.wrong if not any(known in each for known in expected)]

    where_kernels_die(tmp_path, script)
