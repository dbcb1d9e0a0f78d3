"""Progress in a real browser: what takes a while is on the dashboard, and in JupyterLab, for as long as it does."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
from pathlib import Path
from typing import Any

import pytest

from tests.real.daemon import TOKEN, Daemon, children_of, until
from tests.real.test_lab_browser import CHROMIUM, Browser, in_browser

pytestmark = [pytest.mark.real, pytest.mark.skipif(CHROMIUM is None, reason="no Chromium")]
PICTURE = os.environ.get("JUPYTERD_PICTURE", "")
"""A directory for what the pages look like meanwhile."""

WAITING = """
import os, time

def may_go(name):
    path = os.path.join(os.environ["HOME"], "go-" + name)
    open(path + ".waits", "w").close()
    return os.path.exists(path)

def wait(name):
    while not may_go(name):
        time.sleep(0.02)
"""

EXTENSION = """
import waiting

def _jupyter_server_extension_points():
    return [{"module": "slow_extension"}]

def _load_jupyter_server_extension(app):
    waiting.wait("start")
"""

FILES = """
import shutil, time
import waiting
from jupyterd.contents.managers.largefilemanager import LargeFileManager

copy = shutil.copy2

def copy_slowly(*args, **kwargs):
    if not waiting.may_go("copy"):
        time.sleep(0.2)
    return copy(*args, **kwargs)

shutil.copy2 = copy_slowly

class Files(LargeFileManager):
    pass
"""

CONVERSION = """
import waiting
from nbconvert.preprocessors import Preprocessor

class Waits(Preprocessor):
    def preprocess(self, notebook, resources):
        waiting.wait("convert")
        return notebook, resources
"""


def test_what_takes_a_while_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in (("waiting", WAITING), ("slow_extension", EXTENSION), ("files", FILES), ("slow", CONVERSION)):
        (tmp_path / f"{name}.py").write_text(text)
    tree = tmp_path / "root" / "tree"
    tree.mkdir(parents=True)
    for number in range(300):
        (tree / f"{number}.txt").write_text("x")
    notebook = {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    (tmp_path / "root" / "report.ipynb").write_text(json.dumps(notebook))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    in_browser(
        tmp_path,
        script,
        "--ServerApp.jpserver_extensions=slow_extension=True",
        "--ServerApp.contents_manager_class=files.Files",
        "--HTMLExporter.preprocessors=slow.Waits",
    )


def script(browser: Browser) -> None:
    """The dashboard in one page, JupyterLab in another."""
    home, daemon = browser.daemon.home, browser.daemon
    browser.open(f"/jupyterd?token={TOKEN}")
    seen(browser.page, "start", "Starting server extensions")
    release(home, "start")
    gone(browser.page, "start")
    assert browser.page.locator("#server dt", has_text="Started in").count() == 1

    lab = browser.page.context.browser.new_page()
    lab.goto(f"http://127.0.0.1:{daemon.port}/lab?token={TOKEN}")
    lab.locator(".jp-LauncherCard").first.wait_for(timeout=60_000)
    assert converted(browser, lab, home) > 0
    copied(browser, lab, home)
    uploaded(browser)
    restarted(lab, home, daemon)


def converted(browser: Browser, lab: Any, home: Path) -> int:
    """Ask for the page of a notebook; its bytes."""
    with asked(browser.daemon, "GET", "/nbconvert/html/report.ipynb") as answer:
        seen(browser.page, "convert", "Converting report (html)")
        toast(lab, "Converting report (html)")
        picture(browser.page, "convert-dashboard")
        picture(lab, "convert-lab")
        release(home, "convert")
        length = len(answer.read())
    gone(browser.page, "convert")
    no_toast(lab, "Converting")
    return length


def copied(browser: Browser, lab: Any, home: Path) -> None:
    """Have a tree copied."""
    body = json.dumps({"copy_from": "tree"}).encode()
    with asked(browser.daemon, "POST", "/api/contents/", body) as answer:
        seen(browser.page, "copy", "Copying tree-Copy1")
        browser.page.locator("[data-task=copy]", has_text=re.compile(r"\d+ files")).wait_for(timeout=30_000)
        toast(lab, re.compile(r"Copying tree-Copy1, \d+ files"))
        picture(browser.page, "copy-dashboard")
        picture(lab, "copy-lab")
        release(home, "copy")
        assert b"201 Created" in answer.read()
    gone(browser.page, "copy")
    no_toast(lab, "Copying")


def uploaded(browser: Browser) -> None:
    """Send a file, half of it first."""
    half = b"x" * 3_000_000
    with asked(browser.daemon, "PUT", "/files/data.bin", half, length=2 * len(half)) as answer:
        seen(browser.page, "upload", "Uploading data.bin")
        text = re.compile(r"[123]\.\d MB of 6\.0 MB")  # it is counted as it is written
        browser.page.locator("[data-task=upload]", has_text=text).wait_for(timeout=30_000)
        bar = browser.page.locator("[data-task=upload] progress")
        assert 0 < float(bar.get_attribute("value")) <= float(bar.get_attribute("max")) / 2
        picture(browser.page, "upload-dashboard")
        answer.send(half)
        assert b"201 Created" in answer.read()
    gone(browser.page, "upload")


def restarted(lab: Any, home: Path, daemon: Daemon) -> None:
    """The extensions' process is killed, and another one starts."""
    for name in ("go-start", "go-start.waits"):
        (home / name).unlink()
    [host] = [pid for pid in children_of(daemon.pid) if b"extension_host" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    os.kill(host, signal.SIGKILL)
    toast(lab, "Starting server extensions")
    picture(lab, "start-lab")
    release(home, "start")
    no_toast(lab, "Starting")


class asked:  # noqa: N801
    """A request whose answer is waited for later."""

    def __init__(self, daemon: Daemon, method: str, path: str, body: bytes = b"", length: int | None = None) -> None:
        self._socket = socket.create_connection(("127.0.0.1", daemon.port), timeout=60)
        head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: token {TOKEN}\r\n"
        self.send(f"{head}Content-Length: {len(body) if length is None else length}\r\n\r\n".encode() + body)

    def send(self, body: bytes) -> None:
        self._socket.sendall(body)

    def read(self) -> bytes:
        """All of the answer."""
        found = b""
        while more := self._socket.recv(65536):
            found += more
        return found

    def __enter__(self) -> asked:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()


def release(home: Path, name: str) -> None:
    until((home / f"go-{name}.waits").exists, 60)
    (home / f"go-{name}").touch()


def seen(dashboard: Any, kind: str, words: str) -> None:
    dashboard.locator(f"[data-task={kind}]", has_text=words).wait_for(timeout=30_000)


def gone(dashboard: Any, kind: str) -> None:
    dashboard.locator(f"[data-task={kind}]").wait_for(state="detached", timeout=30_000)


def toast(lab: Any, words: str | re.Pattern[str]) -> None:
    lab.locator(".Toastify__toast", has_text=words).wait_for(timeout=30_000)


def no_toast(lab: Any, words: str) -> None:
    lab.locator(".Toastify__toast", has_text=words).wait_for(state="detached", timeout=30_000)


def picture(page: Any, name: str) -> None:
    if PICTURE:
        page.screenshot(path=str(Path(PICTURE) / f"{name}.png"))
