"""JupyterLab's first load in Chromium: time to the launcher, bytes over the wire, the server's CPU.

Needs Chromium on the machine; jupyverse's page is not measured (another build).
"""

from __future__ import annotations

import shutil
import tempfile
import time

from benchmarks.harness import FRONT_ENDS, TOKEN, Case, Figures, Server, main
from benchmarks.process import Cost

LAUNCHER = ".jp-LauncherCard"


def first_load(server: Server) -> Figures:
    """A fresh profile opens ``/lab``; then once more with a warm cache."""
    from playwright.sync_api import sync_playwright

    received = 0

    def finished(event: dict[str, float]) -> None:
        nonlocal received
        received += int(event["encodedDataLength"])

    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as profile:
        browser = playwright.chromium.launch_persistent_context(
            profile, executable_path=chromium, headless=True, args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page()
        session = browser.new_cdp_session(page)
        session.send("Network.enable")
        session.on("Network.loadingFinished", finished)
        times = []
        with Cost(server.pid) as cost:
            for _ in range(2):
                began = time.perf_counter()
                page.goto(f"http://127.0.0.1:{server.port}/lab?token={TOKEN}&reset")
                page.wait_for_selector(LAUNCHER, timeout=90_000)
                times.append(time.perf_counter() - began)
                if len(times) == 1:
                    page.wait_for_load_state("networkidle")
                    bytes_first = received
        browser.close()
    return {
        "JupyterLab, fresh browser, to the launcher, s": times[0],
        "JupyterLab, fresh browser, received, MB": bytes_first / 1e6,
        "JupyterLab, warm browser, to the launcher, s": times[1],
        "JupyterLab, both loads: CPU, ms": 1e3 * cost.cpu,
    }


CASES = [Case("lab", first_load, options=FRONT_ENDS, without=("jupyverse",))]

if __name__ == "__main__":
    main(__doc__, CASES)
