"""Outputs reach the page that is there, in a real browser: reloaded, closed and opened again, two at once.

Cells wait for files in place of seconds, so that each step of a test finds them where it wants them.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from jupyterd.frontends.packages import package_dir
from tests.real.daemon import REFERENCE, TOKEN, running, until
from tests.real.test_lab_browser import CHROMIUM, LONG, Browser, browsing, in_browser, sync_api

pytestmark = [pytest.mark.real, pytest.mark.skipif(CHROMIUM is None, reason="no Chromium")]

needs_notebook = pytest.mark.skipif(package_dir("notebook") is None, reason="no Notebook 7")
everything = pytest.mark.skipif(not os.environ.get("JUPYTERD_ALL_PAGES"), reason="set JUPYTERD_ALL_PAGES")
FRONT_ENDS = ["lab", pytest.param("notebook", marks=needs_notebook)]
LAB_FIRST = ["lab", pytest.param("notebook", marks=[needs_notebook, everything])]
"""The second one where all is tried: what the plugin does is the same in both."""
EXPOSED = ("--LabApp.expose_app_in_browser=True", "--JupyterNotebookApp.expose_app_in_browser=True")
QUICK = ("--OutputRecorder.closed_page_timeout=1",)

WAIT = """
import os, time
def wait(name):
    while not os.path.exists(name):
        time.sleep(0.02)
"""
COUNT = """
from tqdm import tqdm
bar = tqdm(total=60)
for i in range(1, 61):
    print(i, flush=True)
    if i % 10 == 0:
        bar.update(10)
        bar.refresh()
        wait(f"go{i}")
bar.close()
%matplotlib inline
import matplotlib.pyplot as plt
plt.plot(range(5))
plt.show()
"""
NUMBERS = "".join(f"{i}\n" for i in range(1, 61))

KNOWN = ("reading 'schema'", "Comm not found for comm id")
"""All that pages may complain of: every server's do, see :func:`test_what_is_forgiven_happens_with_the_reference_too`.

Notebook 7.6 throws the first. The second is said of a comm that a kernel without ipywidgets refuses to another page."""
PLUGIN = "extensions/jupyterd/"
"""In the address of our own script, hence in what an exception of its own tells."""
FRONT_ENDS_ON = ("--ServerApp.jpserver_extensions={'jupyterlab': True, 'notebook': True}",)


class Pages:
    """Pages of one notebook in one browser."""

    def __init__(self, browser: Browser, front_end: str, *sources: str) -> None:
        self._browser, self._lab = browser, front_end == "lab"
        self._chromium = browser.page.context.browser
        self.root = browser.daemon.root
        cells = [
            {"cell_type": "code", "id": f"c{i}", "execution_count": None, "metadata": {}, "outputs": [], "source": each}
            for i, each in enumerate(sources)
        ]
        spec = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
        notebook = {"cells": cells, "metadata": spec, "nbformat": 4, "nbformat_minor": 5}
        (self.root / "a.ipynb").write_text(json.dumps(notebook))

    def open(self) -> Page:
        """The notebook in a browser that has never been here."""
        context = self._chromium.new_context(viewport={"width": 1200, "height": 800})
        other = Browser(context.new_page(), self._browser.daemon, self._browser.wrong)
        other.watch()
        self._browser.page = other.page  # that a failure shows
        other.open(f"{'/lab/tree' if self._lab else '/notebooks'}/a.ipynb?token={TOKEN}")
        return Page(other).ready()

    def go(self, *names: str) -> None:
        """Let cells go on that wait for these files."""
        for name in names:
            (self.root / name).touch()

    def file(self) -> list[dict[str, Any]]:
        """The cells on disk."""
        return list(json.loads((self.root / "a.ipynb").read_text())["cells"])

    def is_idle(self) -> bool:
        """The one kernel that there is does nothing."""
        (kernel,) = self._browser.daemon.json("GET", "/api/kernels")
        return bool(kernel["execution_state"] == "idle")

    def forgive(self) -> None:
        """Forget what the reference's pages complain about too."""
        wrong = self._browser.wrong
        wrong[:] = [text for text in wrong if PLUGIN in text or not any(known in text for known in KNOWN)]


class Page:
    """One page that shows the notebook."""

    def __init__(self, browser: Browser) -> None:
        self.browser, self.page = browser, browser.page

    def ready(self) -> Page:
        self.browser.see(".jp-Notebook .jp-CodeCell")
        self.page.wait_for_function(
            "window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.connectionStatus === 'connected'",
            timeout=LONG,
        )
        return self

    def reload(self) -> None:
        self.page.reload()
        self.ready()

    def command(self, name: str, cell: int = 0) -> None:
        """A command of the application, with a cell selected; not waited for."""
        self.page.evaluate(
            "([name, cell]) => { const { shell, commands } = window.jupyterapp;"
            " shell.currentWidget.content.activeCellIndex = cell; void commands.execute(name) }",
            [name, cell],
        )

    def run(self, name: str = "notebook:run-cell", cell: int = 0) -> None:
        """A command that runs cells. What is run while its connection settles JupyterLab drops, on any server."""
        for _ in range(5):
            self.command(name, cell)
            with suppress(sync_api.TimeoutError):
                self.page.wait_for_function("cell => document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')[cell]"
                                            "?.textContent !== '[ ]:'", arg=cell, timeout=3000)  # fmt: skip
                return
        raise AssertionError("the cell is not run")

    def cell(self, index: int = 0) -> dict[str, Any]:
        """What the page would save of a cell."""
        found = self.page.evaluate(
            "i => window.jupyterapp.shell.currentWidget.content.widgets[i].model.toJSON()", index
        )
        return dict(found)

    def text(self, index: int = 0, name: str = "stdout") -> str:
        return text_of(self.cell(index), name)

    def prompt(self, text: str, index: int = 0) -> None:
        self.page.wait_for_function(
            "([i, text]) => document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')[i]?.textContent === text",
            arg=[index, text],
            timeout=LONG,
        )

    def says(self, text: str, index: int = 0) -> None:
        until(lambda: text in self.text(index), 60, f"{text!r} is not shown in cell {index}")

    @property
    def kernel(self) -> str:
        """What the page shows of the kernel."""
        return str(self.page.evaluate("window.jupyterapp.shell.currentWidget.sessionContext.kernelDisplayStatus"))

    def has_dialog(self) -> bool:
        return bool(self.page.locator(".jp-Dialog").count())


def text_of(cell: dict[str, Any], name: str = "stdout") -> str:
    streams = [each for each in cell["outputs"] if each["output_type"] == "stream" and each["name"] == name]
    return "".join("".join(each["text"]) for each in streams)


def has_all(cell: dict[str, Any]) -> bool:
    """Sixty numbers, the bar at its end, one figure, a count."""
    figures = [each for each in cell["outputs"] if "image/png" in each.get("data", {})]
    bar = text_of(cell, "stderr")
    return text_of(cell) == NUMBERS and "60/60" in bar and len(figures) == 1 and cell["execution_count"] is not None


def reloaded_at_ten(pages: Pages) -> Page:
    """A page whose first cell runs, reloaded when that has counted to ten: it shows so."""
    page = pages.open()
    page.run()
    page.says("10\n")
    page.reload()
    page.prompt("[*]:")
    page.says("10\n")
    assert page.kernel == "busy"
    return page


def with_pages(
    home: Path, front_end: str, script: Callable[[Pages], None], *sources: str, options: tuple[str, ...] = QUICK
) -> None:
    def whole(browser: Browser) -> None:
        pages = Pages(browser, front_end, *sources)
        script(pages)
        pages.forgive()

    in_browser(home, whole, *EXPOSED, *options)


@everything
@needs_notebook
def test_what_is_forgiven_happens_with_the_reference_too(tmp_path: Path) -> None:
    def whole() -> None:
        reference = running(tmp_path, *EXPOSED, *FRONT_ENDS_ON, argv=REFERENCE, begin=120.0, end=120.0)
        with reference as daemon, browsing(daemon) as browser:
            pages = Pages(browser, "notebook", "1")
            first = pages.open()
            first.run()
            pages.open().reload()

            def happened() -> bool:
                first.page.wait_for_timeout(500)  # else Playwright hears nothing
                return all(each in str(browser.wrong) for each in KNOWN)

            until(happened, 60, f"not all of it: {browser.wrong}")

    with ThreadPoolExecutor(1) as threads:
        threads.submit(whole).result()


@pytest.mark.parametrize("front_end", FRONT_ENDS)
def test_a_page_goes_on_after_a_reload_and_a_second_one_follows(tmp_path: Path, front_end: str) -> None:
    def script(pages: Pages) -> None:
        page = reloaded_at_ten(pages)
        pages.go("go10")
        page.says("20\n")
        other = pages.open()
        other.prompt("[*]:")
        pages.go("go20", "go30", "go40", "go50", "go60")
        for each in (page, other):
            each.prompt("[1]:")
            until(lambda each=each: has_all(each.cell()), 20, f"not all is there: {each.cell()}")
            assert not each.has_dialog()
        other.run(cell=1)  # input() of a page that is left
        other.browser.see(".jp-Stdin")
        other.page.close()
        page.reload()
        page.browser.see(".jp-Stdin input").fill("Bob")
        page.browser.press("Enter")
        page.prompt("[2]:", 1)
        page.says("hello Bob\n", 1)

    asks = "name = input('name? ')\nprint('hello', name)"
    with_pages(tmp_path, front_end, script, WAIT + COUNT, asks)


@pytest.mark.parametrize("front_end", LAB_FIRST)
def test_nothing_is_lost_of_pages_that_are_closed(tmp_path: Path, front_end: str) -> None:
    def script(pages: Pages) -> None:
        page = pages.open()
        page.run()
        pages.go("go10")
        page.says("20\n")
        page.page.context.close()
        pages.go("go20", "go30", "go40", "go50", "go60")
        until(lambda: has_all(pages.file()[0]), 120, "the file does not have it")
        page = pages.open()
        assert has_all(page.cell())
        page.command("notebook:run-all-below", 1)
        page.prompt("[*]:", 1)
        page.page.context.close()
        pages.go("five")
        until(lambda: [text_of(each) for each in pages.file()[1:]] == ["1\n", "2\n", "3\n", "4\n", "5\n"], 120)
        assert [each["execution_count"] for each in pages.file()] == [1, 2, 3, 4, 5, 6]
        assert has_all(pages.file()[0])
        page = pages.open()
        assert [page.text(index) for index in range(1, 6)] == ["1\n", "2\n", "3\n", "4\n", "5\n"]
        assert not page.has_dialog()

    five = [f"wait('five')\nprint({i})" for i in range(1, 6)]
    with_pages(tmp_path, front_end, script, WAIT + COUNT, *five)


@pytest.mark.parametrize("front_end", LAB_FIRST)
def test_notebooks_are_run_on_the_server_from_the_page(tmp_path: Path, front_end: str) -> None:
    def script(pages: Pages) -> None:
        page = pages.open()
        page.browser.page.locator(".lm-MenuBar-item", has_text="Run").click()
        page.browser.see(".lm-Menu-itemLabel", "Run Selected Cell and All Below on the Server")
        page.browser.see(".lm-Menu-itemLabel", "Run All Cells on the Server").click()
        page.prompt("[*]:")
        page.browser.see(".Toastify__toast", "0 of 3 cells run on the server")
        page.reload()
        page.prompt("[*]:")
        page.browser.see(".Toastify__toast", "0 of 3 cells run on the server")
        pages.go("one")
        page.says("one\n")
        page.prompt("[2]:", 1)
        page.prompt("[3]:", 2)
        page.browser.see(".Toastify__toast", "ended at cell 3. ZeroDivisionError")
        page.command("jupyterd:run-from-here", 1)
        page.prompt("[4]:", 1)
        page.prompt("[5]:", 2)
        assert page.cell(0)["execution_count"] == 1
        assert not page.has_dialog()

    with_pages(tmp_path, front_end, script, WAIT + "wait('one')\nprint('one')", "print('two')", "1 / 0")


MINUTE = """
import time
from tqdm import tqdm
for i in tqdm(range(1, 61)):
    print(i, flush=True)
    time.sleep(1)
%matplotlib inline
import matplotlib.pyplot as plt
plt.plot(range(5))
plt.show()
"""


@everything
@pytest.mark.parametrize("front_end", FRONT_ENDS)
def test_a_minute_as_it_passes(tmp_path: Path, front_end: str) -> None:
    """As somebody lives it: reloaded after ten seconds; closed after twenty, and opened elsewhere after eighty."""

    def script(pages: Pages) -> None:
        page = reloaded_at_ten(pages)
        page.page.screenshot(path=str(tmp_path / "reloaded.png"))
        until(lambda: page.cell()["execution_count"] == 1, 120)
        until(lambda: has_all(page.cell()), 20, f"not all is there: {page.cell()}")
        page.prompt("[1]:")
        page.page.screenshot(path=str(tmp_path / "ended.png"))
        assert not page.has_dialog()
        page.run(cell=1)
        page.says("20\n", 1)
        page.page.context.close()
        time.sleep(60)
        page = pages.open()
        page.prompt("[2]:", 1)
        page.page.screenshot(path=str(tmp_path / "elsewhere.png"))
        assert has_all(page.cell(1))
        assert has_all(pages.file()[1])
        assert not page.has_dialog()

    with_pages(tmp_path, front_end, script, MINUTE, MINUTE, options=())


EARLIER = """
from ipywidgets import IntSlider, Output
slider, out = IntSlider(max=100), Output()
display(slider, out)
"""
BARS = """
from ipywidgets import IntProgress, HBox, Label
bar = IntProgress(max=100)
box = HBox([bar])
display(box)
for value in (20, 40, 60, 80, 100):
    bar.value = slider.value = value
    with out:
        print("taken", value)
    print(value, flush=True)
    wait(f"go{value}")
    if value == 60:
        box.children = (*box.children, Label("late"))
"""


@pytest.mark.skipif(not find_spec("ipywidgets"), reason="no ipywidgets")
@pytest.mark.parametrize("front_end", LAB_FIRST)
def test_widgets_go_on_after_a_reload(tmp_path: Path, front_end: str) -> None:
    def script(pages: Pages) -> None:
        page = pages.open()
        page.run()
        page.prompt("[1]:")
        page.command("docmanager:save")
        until(lambda: pages.file()[0]["execution_count"] == 1, 20)
        page.run(cell=1)
        pages.go("go20")
        page.says("40\n", 1)
        width(page, "40%")
        page.reload()
        page.prompt("[*]:", 1)
        width(page, "40%")
        page.browser.see(".widget-slider .widget-readout", "40")
        page.browser.see(".jp-OutputArea .jupyter-widgets", "taken 20 taken 40")
        pages.go("go40")
        width(page, "60%")
        page.browser.see(".widget-slider .widget-readout", "60")
        page.browser.see(".jp-OutputArea .jupyter-widgets", "taken 40 taken 60")
        pages.go("go60")
        page.browser.see(".widget-label", "late")
        assert page.kernel == "busy"
        pages.go("go80", "go100")
        page.prompt("[2]:", 1)
        width(page, "100%")
        page.browser.see(".widget-slider .widget-readout", "100")
        assert page.text(1) == "20\n40\n60\n80\n100\n"
        assert not page.has_dialog()
        page.run(cell=2)
        page.page.context.close()
        pages.go("unseen")
        until(pages.is_idle, 60, "the kernel is busy")
        page = pages.open()
        page.browser.see(".jp-OutputArea .jupyter-widgets", "taken 100 while nobody looked")

    unseen = "wait('unseen')\nwith out:\n    print('while nobody looked')"
    with_pages(tmp_path, front_end, script, EARLIER, WAIT + BARS, unseen)


def width(page: Page, wanted: str) -> None:
    """Wait until the progress bar is that long."""
    page.page.wait_for_function(
        "wanted => document.querySelector('.widget-hprogress .progress-bar, .widget-hprogress .p-ProgressBar,"
        " .jp-OutputArea-output .progress-bar')?.style.width === wanted",
        arg=wanted,
        timeout=LONG,
    )
