"""A day in a real browser, through a real Hub and its proxy. The longer stories: ``JUPYTERD_HUB_STORIES=1``."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.real.daemon import until
from tests.real.hub.conftest import VERSIONS, culling, long
from tests.real.hub.hub import RealHub, running

sync_api = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]
LONG = 60_000
pytestmark = [pytest.mark.real, pytest.mark.skipif(CHROMIUM is None, reason="no Chromium")]
QUICK = 'c.Spawner.args = ["--allow-root", "--HubOAuth.cache_max_age=2"]\n'


@dataclass
class Window:
    """A browser of its own: its cookies are nobody else's."""

    context: Any
    hub: RealHub
    page: Any
    wrong: list[str] = field(default_factory=list)

    def watch(self) -> Window:
        self.page.set_default_timeout(LONG)
        self.page.on("dialog", lambda dialog: dialog.accept())  # of a notebook that is not saved
        self.page.on("pageerror", lambda error: self.wrong.append(f"exception: {error}"))
        self.page.on("response", lambda r: self.wrong.append(f"{r.status} {r.url}") if r.status >= 400 else None)
        return self

    def tab(self) -> Window:
        """Another tab of the same browser."""
        return Window(self.context, self.hub, self.context.new_page()).watch()

    def open(self, path: str) -> Any:
        return self.page.goto(path if "://" in path else self.hub.url + path)

    def see(self, selector: str, text: str | None = None) -> Any:
        found = self.page.locator(selector, has_text=text) if text is not None else self.page.locator(selector)
        found.first.wait_for(timeout=LONG)
        return found.first

    def log_in(self, name: str, path: str = "") -> None:
        self.open(path or "/hub/login")
        self.page.fill("#username_input", name)
        self.page.fill("#password_input", "x")
        self.page.click("#login_submit")

    def run(self, code: str, shows: str) -> None:
        """Run a cell of the notebook that is open."""
        self.see(".jp-Notebook .jp-CodeCell:last-child .cm-content").click()
        self.page.keyboard.type(code, delay=5)
        self.page.keyboard.press("Shift+Enter")
        with suppress(sync_api.TimeoutError):
            self.page.locator(".jp-OutputArea-output", has_text=shows).first.wait_for(timeout=8000)
            return
        self.see(".jp-Notebook .jp-CodeCell .cm-content").click()  # JupyterLab drops what is run while it connects
        self.page.keyboard.press("Shift+Enter")
        self.see(".jp-OutputArea-output", shows)

    def notebook(self) -> None:
        self.see(".jp-LauncherCard[data-category=Notebook]").click()
        self.see(".jp-NotebookPanel .jp-Notebook-ExecutionIndicator[data-status=idle]")

    def menu(self, menu: str, item: str) -> None:
        self.see(".lm-MenuBar-itemLabel", menu).click()
        self.page.locator(".lm-Menu-itemLabel:visible", has_text=item).first.click()

    def cookies(self, path: str) -> set[str]:
        return {cookie["name"] for cookie in self.context.cookies() if cookie["path"] == path}


@contextmanager
def windows(hub: RealHub, home: Path) -> Iterator[Callable[[], Window]]:
    """Makes browsers; what is wrong when the test fails can be seen in screenshots."""
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        made: list[Window] = []

        def make() -> Window:
            context = chromium.new_context(viewport={"width": 1300, "height": 850})
            made.append(Window(context, hub, context.new_page()).watch())
            return made[-1]

        try:
            yield make
        except Exception:
            for number, window in enumerate(made):
                with suppress(Exception):
                    window.page.screenshot(path=str(home / f"failed-{number}.png"))
                    print(window.page.url, window.wrong)
            print(hub.log[-4000:], f"see {home}/failed-*.png", sep="\n")
            raise
        finally:
            chromium.close()


def tell(home: Path, script: Callable[[RealHub, Callable[[], Window]], None], more: str = "", **env: str) -> None:
    """Run ``script`` with a Hub of its own."""

    with running(home, VERSIONS[-1], more, **env) as hub:
        act(hub, home, script)
    assert "Traceback" not in hub.log


def act(hub: RealHub, home: Path, script: Callable[[RealHub, Callable[[], Window]], None]) -> None:
    """Run ``script`` with a Hub that runs, in a thread: Playwright wants one without a running loop."""

    def whole() -> None:
        with windows(hub, home) as make:
            script(hub, make)

    with ThreadPoolExecutor(1) as threads:
        threads.submit(whole).result()


def test_a_day_at_the_hub(tls_hub: RealHub, tmp_path: Path) -> None:
    """Log in, spawn, work, look around, be refused elsewhere, log out."""

    def script(hub: RealHub, make: Callable[[], Window]) -> None:
        ada = make()
        ada.log_in("ada")
        ada.see(".jp-LauncherCard")
        assert ada.page.url.startswith(f"{hub.url}/user/ada/lab")
        ada.notebook()
        ada.run("print('six times seven is', 6 * 7)", "six times seven is 42")
        ada.page.screenshot(path=str(tmp_path / "ada.png"))
        ada.see(".lm-MenuBar-itemLabel", "File").click()
        ada.see(".lm-Menu-itemLabel", "Hub Control Panel")
        ada.page.keyboard.press("Escape")
        assert ada.wrong == []

        bob = make()
        bob.log_in("bob")
        bob.see(".jp-LauncherCard")
        answer = bob.open("/user/ada/lab")
        assert answer.status == 403
        assert not bob.cookies("/user/ada/") - {name for name in bob.cookies("/user/ada/") if "oauth-state" in name}
        told = bob.page.evaluate(
            """async () => {
                const page = await fetch('/user/ada/api/contents/?content=1')
                return [page.status, await page.text(), document.cookie]
            }"""
        )
        assert told[0] == 403
        assert "Untitled" not in told[1]

        ada.menu("File", "Log Out")
        ada.page.wait_for_url("**/hub/login**")
        assert ada.cookies("/user/ada/") <= {"_xsrf"}
        ada.log_in("bob")  # somebody else at the same browser
        ada.see(".jp-LauncherCard")
        assert ada.page.url.startswith(f"{hub.url}/user/bob/lab")
        assert ada.open("/user/ada/lab").status == 403

    act(tls_hub, tmp_path, script)
    assert "Traceback" not in tls_hub.log


@long
def test_users_have_hosts_of_their_own(tmp_path: Path) -> None:
    """``JupyterHub.subdomain_host``: logins go from host to host, and cookies stay where they belong."""

    def script(hub: RealHub, make: Callable[[], Window]) -> None:
        at, of_ada = f"http://{hub.host}:{hub.port}", f"http://ada.{hub.host}:{hub.port}/user/ada/"
        ada = make()
        ada.log_in("ada", f"{at}/hub/login")
        ada.see(".jp-LauncherCard")
        assert ada.page.url.startswith(f"{of_ada}lab")
        ada.notebook()
        ada.run("print('at', 'home')", "at home")
        told = ada.page.evaluate("JSON.parse(document.getElementById('jupyter-config-data').textContent)")
        assert (told["hubHost"], told["hubPrefix"]) == (at, "/hub/")
        own = {cookie["domain"] for cookie in ada.context.cookies() if cookie["name"] == "jupyterhub-user-ada"}
        assert own == {f"ada.{hub.host}"}
        ada.page.screenshot(path=str(tmp_path / "ada.png"))
        assert ada.wrong == []
        bob = make()
        bob.log_in("bob", f"{at}/hub/login")
        bob.see(".jp-LauncherCard")
        answer = bob.open(f"{of_ada}lab")
        assert answer.status == 403
        ada.menu("File", "Log Out")
        ada.page.wait_for_url(f"{at}/hub/login**")
        ada.open(f"{of_ada}lab")
        ada.page.wait_for_url(f"{at}/hub/login**")

    tell(tmp_path, script, host="hub.localhost")


@long
def test_a_terminal_and_the_hubs_pages(tmp_path: Path) -> None:
    """Terminal; the server is stopped and started from the Hub's pages; its files are there."""

    def script(hub: RealHub, make: Callable[[], Window]) -> None:
        ada = make()
        ada.log_in("ada")
        ada.see(".jp-LauncherCard[data-category=Other]", "Terminal").click()
        ada.page.locator(".jp-Terminal .xterm-helper-textarea").wait_for(state="attached")
        ada.page.wait_for_timeout(1500)
        ada.page.locator(".jp-Terminal").click()
        ada.page.keyboard.type("echo $JUPYTERHUB_USER > who", delay=5)
        ada.page.keyboard.press("Enter")
        who = hub.home / "homes" / "ada" / "who"
        until(lambda: who.exists() and who.read_text() == "ada\n", 20, "the terminal did nothing")
        before = hub.pid("ada")
        ada.open("/hub/home")
        ada.see("#stop").click()
        until(lambda: not (hub.server("ada") or {}).get("ready"), 30)
        ada.page.wait_for_timeout(500)
        ada.open("/hub/home")
        ada.see("#start").click()
        ada.see("a", "Launch Server").click()
        ada.see(".jp-LauncherCard, .jp-Terminal")
        assert hub.pid("ada") != before
        ada.see(".jp-DirListing-itemText", "who")

    tell(tmp_path, script)


@long
def test_two_named_servers_in_one_browser(tmp_path: Path) -> None:
    def script(hub: RealHub, make: Callable[[], Window]) -> None:
        for name in ("one", "two"):
            hub.spawn("ada", name)
        first = make()
        first.log_in("ada", "/user/ada/one/lab")
        first.notebook()
        second = first.tab()
        second.open("/user/ada/two/lab")
        second.notebook()
        first.run("import os; print('I am', os.environ['JUPYTERHUB_SERVER_NAME'])", "I am one")
        second.run("import os; print('I am', os.environ['JUPYTERHUB_SERVER_NAME'])", "I am two")
        assert "(one)" in first.page.title()
        assert first.cookies("/user/ada/one/") == {"jupyterhub-user-ada-one", "_xsrf"}
        first.page.reload()
        first.see(".jp-OutputArea-output, .jp-Notebook")
        assert first.wrong == []
        assert second.wrong == []

    tell(tmp_path, script)


@long
def test_a_share_is_given_and_taken_away(tmp_path: Path) -> None:
    def script(hub: RealHub, make: Callable[[], Window]) -> None:
        hub.spawn("ada")
        hub.add("bob")
        bob = make()
        bob.log_in("bob", "/user/ada/lab")
        bob.page.wait_for_url("**/oauth2/authorize**")
        hub.api("POST", "/shares/ada/", {"user": "bob"})
        bob.open("/user/ada/lab")
        bob.see("button[type=submit]", "Authorize").click()
        bob.notebook()
        bob.run("print('guest')", "guest")
        hub.api("PATCH", "/shares/ada/", {"user": "bob"})
        until(lambda: bob.open("/user/ada/lab").status == 403, 20, "still in")
        assert "bob is not allowed" in bob.page.content()
        bob.page.screenshot(path=str(tmp_path / "refused.png"))

    tell(tmp_path, script, QUICK)


@long
def test_a_token_is_revoked(tmp_path: Path) -> None:
    def script(hub: RealHub, make: Callable[[], Window]) -> None:
        ada = make()
        ada.log_in("ada")
        ada.see(".jp-LauncherCard")
        for token in hub.api("GET", "/users/ada/tokens")["api_tokens"]:
            if token["oauth_client"]:
                hub.api("DELETE", f"/users/ada/tokens/{token['id']}")
        ask = "async () => (await fetch('/user/ada/api/contents', {headers: {Authorization: 'token ' + TOKEN}})).status"
        token = ada.page.evaluate("JSON.parse(document.getElementById('jupyter-config-data').textContent).token")
        until(lambda: ada.page.evaluate(ask.replace("TOKEN", repr(token))) == 403, 20, "still in")
        ada.open("/user/ada/lab")  # the Hub's own login lives on, and gives another one
        ada.see(".jp-LauncherCard")

    tell(tmp_path, script, QUICK)


@long
def test_the_hub_dies_while_a_cell_runs(tmp_path: Path) -> None:
    """The proxy lives on its own here, as in large installations; then it is restarted too."""

    def script(hub: RealHub, make: Callable[[], Window]) -> None:
        ada = make()
        ada.log_in("ada")
        ada.see(".jp-LauncherCard")
        ada.notebook()
        ada.run("print('ready')", "ready")
        code = "import time\nfor i in range(30): print('tick', i, flush=True); time.sleep(1)"
        ada.see(".jp-Notebook .jp-CodeCell:last-child .cm-content").click()
        ada.page.keyboard.insert_text(code)
        ada.page.keyboard.press("Shift+Enter")
        ada.see(".jp-OutputArea-output", "tick 1")
        hub.kill()
        ada.see(".jp-OutputArea-output", "tick 8")
        stranger = make()
        answer = stranger.open("/user/ada/lab")
        assert answer.status == 503
        stranger.page.screenshot(path=str(tmp_path / "away.png"))
        hub.start()  # which ends the proxy of before, and all connections
        ada.see(".jp-OutputArea-output", "tick 29")
        ada.run("print('and on')", "and on")
        assert hub.server("ada")["ready"]

    tell(tmp_path, script)


@long
def test_who_goes_away_finds_the_notebook_again(tmp_path: Path) -> None:
    """The server of a closed browser is culled, but not while a cell runs; it starts again at the next visit."""

    def script(hub: RealHub, make: Callable[[], Window]) -> None:
        ada = make()
        ada.log_in("ada")
        ada.notebook()
        ada.run("print('be' + 'fore')", "before")
        ada.run("import os, time\nwhile not os.path.exists('go'): time.sleep(0.1)", "")
        before = hub.pid("ada")
        elsewhere = ada.tab()
        elsewhere.open("/hub/home")
        ada.page.keyboard.press("Control+s")
        ada.see(".jp-Dialog-button", "Rename and Save").click()
        until(lambda: "before" in (notebook.read_text() if notebook.exists() else ""), 20, "the notebook is not saved")
        ada.page.close()
        elsewhere.page.wait_for_timeout(40_000)  # longer than an idle server is kept
        assert hub.server("ada")["ready"], "it works"
        (home / "go").touch()
        until(lambda: not hub.server("ada"), 120, "the idle server lives on")
        elsewhere.open("/user/ada/lab/tree/Untitled.ipynb")
        elsewhere.see("a", "Launch Server").click()
        elsewhere.see(".jp-OutputArea-output", "before")
        elsewhere.page.screenshot(path=str(tmp_path / "again.png"))
        assert hub.pid("ada") != before

    home = tmp_path / "homes" / "ada"
    notebook = home / "Untitled.ipynb"
    tell(tmp_path, script, culling(30), JUPYTERHUB_ACTIVITY_INTERVAL="1")
