"""A JupyterHub as an operator runs it, whose spawner starts ``jupyterd-singleuser``; and browsers without a screen."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.message import Message
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode, urlsplit
from urllib.request import HTTPCookieProcessor, HTTPRedirectHandler, Request, build_opener

from tests.real import programs
from tests.real.daemon import BIN, Daemon, free_port, until
from tests.real.tab import V1, Tab, printed

PROXY_TOKEN = "token-of-the-proxy"
ADMIN = "admin-token-of-a-service-0123456789abcdef"
CONFIG = """
import json, os
told = json.loads(os.environ["HUB_TEST"])
c = get_config()
c.JupyterHub.bind_url = f"http://127.0.0.1:{told['port']}"
if told["host"]:
    c.JupyterHub.subdomain_host = f"http://{told['host']}:{told['port']}"
c.JupyterHub.hub_bind_url = f"http://127.0.0.1:{told['hub_port']}"
c.JupyterHub.db_url = f"sqlite:///{told['home']}/hub.sqlite"
c.JupyterHub.cookie_secret_file = f"{told['home']}/cookie_secret"
c.JupyterHub.authenticator_class = "dummy"
c.JupyterHub.spawner_class = "simple"
c.JupyterHub.allow_named_servers = True
c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{told['api_port']}"
c.ConfigurableHTTPProxy.command = [told["proxy"]]
c.ConfigurableHTTPProxy.pid_file = f"{told['home']}/proxy.pid"
c.DummyAuthenticator.allow_all = True
c.Authenticator.admin_users = {"root"}
c.SimpleLocalProcessSpawner.home_dir_template = told["home"] + "/homes/{username}"
c.Spawner.cmd = told["command"]
c.Spawner.args = ["--allow-root"]
c.Spawner.start_timeout = c.Spawner.http_timeout = 60
c.Spawner.environment = {"PATH": os.environ["PATH"], **told["environment"]}
c.JupyterHub.services = [{"name": "tests", "api_token": told["admin"]}, *told.get("services", [])]
c.JupyterHub.load_roles = [
    {"name": "tests", "services": ["tests"], "scopes": ["admin:users", "admin:servers", "access:servers", "tokens",
     "admin:groups", "read:metrics", *(["shares"] if told["shares"] else [])]},
    {"name": "user", "scopes": ["self", *(["shares!user"] if told["shares"] else [])]},
]
exec(told["more"])
"""


@dataclass
class Answer:
    """An answer, after redirects.

    :ivar headers: by name, any case.
    :ivar url: where the browser ended.
    :ivar way: the URLs that it was sent to before.
    """

    status: int
    headers: Message
    body: bytes = field(repr=False)
    url: str
    way: list[str] = field(default_factory=list)

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode(errors="replace")

    @property
    def path(self) -> str:
        return urlsplit(self.url).path


class _Redirects(HTTPRedirectHandler):
    max_redirections = 20
    max_repeats = 20

    def __init__(self, follow: bool) -> None:
        self.follow = follow
        self.way: list[str] = []

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        if not self.follow:
            return None
        self.way.append(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


class Person:
    """A browser: keeps cookies, follows redirects, and says that it navigates."""

    def __init__(self, hub: RealHub) -> None:
        self.hub = hub
        self.jar = CookieJar()

    def get(self, path: str, follow: bool = True, headers: Mapping[str, str] | None = None) -> Answer:
        return self.ask("GET", path, follow=follow, headers={"Sec-Fetch-Mode": "navigate", **(headers or {})})

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        follow: bool = True,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        redirects = _Redirects(follow)
        opener = build_opener(HTTPCookieProcessor(self.jar), redirects)
        url = path if "://" in path else self.hub.url + path
        host = {"Host": f"{self.hub.host}:{self.hub.port}"} if self.hub.host else {}
        request = Request(url, body, {**host, **(headers or {})}, method=method)
        try:
            with opener.open(request, timeout=60) as got:
                return Answer(got.status, got.headers, got.read(), got.url, redirects.way)
        except HTTPError as error:
            with error:
                return Answer(error.code, error.headers, error.read(), error.url, redirects.way)

    def cookie(self, name: str, path: str) -> str | None:
        return next((c.value for c in self.jar if c.name == name and c.path == path), None)

    def cookies(self) -> set[tuple[str, str]]:
        return {(cookie.name, cookie.path) for cookie in self.jar}

    def drop(self, name: str) -> None:
        for cookie in [cookie for cookie in self.jar if cookie.name == name]:
            self.jar.clear(cookie.domain, cookie.path, cookie.name)

    def log_in(self, name: str) -> Person:
        self.get("/hub/login")
        fields = {"username": name, "password": "x", "_xsrf": self.cookie("_xsrf", "/hub/") or ""}
        answer = self.form("/hub/login?next=%2Fhub%2Ftoken", fields)
        assert answer.status == 200, answer
        return self

    def form(self, path: str, fields: Mapping[str, Any]) -> Answer:
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Mode": "navigate"}
        return self.ask("POST", path, urlencode(fields, doseq=True).encode(), headers=headers)

    def agree(self, answer: Answer) -> Answer:
        """Let the Hub tell a server of somebody else who one is."""
        assert "/oauth2/authorize" in answer.url, answer.url
        xsrf = re.search(r'name="_xsrf" value="([^"]+)"', answer.text)
        assert xsrf is not None
        scopes = re.findall(r'name="scopes"[^>]*value="([^"]+)"|value="([^"]+)"[^>]*name="scopes"', answer.text)
        fields = {"_xsrf": xsrf[1], "scopes": [first or second for first, second in scopes] or ["identify"]}
        return self.form(answer.url, fields)


@dataclass
class RealHub:
    """A running Hub with its proxy. ``home`` holds all its files: ``hub.log``, ``homes/<user>``.

    :ivar host: the name that it has, where users have names below it.
    :ivar commands: where ``jupyterhub`` is; by default in the environment of the version.
    :ivar inside: a command that starts another elsewhere, as its child, before that of the Hub.
    :ivar seen: ``home`` as the Hub there sees it.
    """

    home: Path
    version: str = "5"
    environment: Mapping[str, str] = field(default_factory=dict)
    more: str = ""
    command: list[str] = field(default_factory=lambda: [str(BIN / "jupyterd-singleuser")])
    port: int = field(default_factory=free_port)
    hub_port: int = field(default_factory=free_port)
    api_port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None
    host: str = ""
    commands: Path | None = None
    inside: list[str] = field(default_factory=list)
    seen: str = ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        return (self.home / "hub.log").read_text(errors="replace")

    def start(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        (self.home / "config.py").write_text(CONFIG)
        commands, proxy = self.commands or programs.hub(self.version), programs.proxy()
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("JUPYTER", "JPY", "PYTEST"))}
        told = {
            "port": self.port, "hub_port": self.hub_port, "api_port": self.api_port,
            "home": self.seen or str(self.home),
            "proxy": str(proxy), "command": self.command, "environment": dict(self.environment), "admin": ADMIN,
            "more": self.more, "host": self.host, "shares": not self.version.startswith("4"),
        }  # fmt: skip
        env = {
            **kept,
            "PATH": f"{commands}:{kept.get('PATH', '')}",
            "HUB_TEST": json.dumps(told),
            "CONFIGPROXY_AUTH_TOKEN": PROXY_TOKEN,
        }
        with (self.home / "hub.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*self.inside, str(commands / "jupyterhub"), "-f", f"{told['home']}/config.py"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.home, env=env,
            )  # fmt: skip
        until(self._answers, 90, "the Hub does not answer")

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log[-3000:]
        try:
            return Person(self).ask("GET", "/hub/api/").status == 200
        except OSError:
            time.sleep(0.1)
            return False

    def kill(self) -> None:
        """End the Hub as a crash does. Its proxy lives on where another process has started it, else it dies too."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """End the Hub, which ends all servers."""
        if self.process is None:
            return
        with suppress(OSError):
            os.kill(self._main(), signal.SIGTERM)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for pid in self.processes():  # of a Hub that was killed, in a test that has failed
            with suppress(OSError):
                os.kill(pid, signal.SIGTERM)

    def _main(self) -> int:
        """The process of the Hub itself."""
        assert self.process is not None
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return int(children.read_text().split()[0]) if self.inside else self.process.pid

    # -- what an administrator does

    def api(self, method: str, path: str, body: Any = None, token: str = ADMIN, expect: int = 300) -> Any:
        """The Hub's own API."""
        raw = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"token {token}", "Content-Type": "application/json"}
        answer = Person(self).ask(method, f"/hub/api{path}", raw, headers=headers)
        assert answer.status < expect, (method, path, answer.status, answer.text[:500])
        return answer.json if answer.body else None

    def users(self) -> list[str]:
        with suppress(OSError, AssertionError):
            return [user["name"] for user in self.api("GET", "/users")]
        return []

    def add(self, name: str) -> None:
        if name not in self.users():
            self.api("POST", f"/users/{name}")

    def server(self, name: str, server: str = "") -> Any:
        """What the Hub knows of a server; None where it does not run."""
        servers = self.api("GET", f"/users/{name}").get("servers", {})
        return servers.get(server)

    def begin(self, name: str, server: str = "") -> None:
        """Have a server started, if none was."""
        self.add(name)
        if self.server(name, server) is None:
            self.api("POST", f"/users/{name}/servers/{server}" if server else f"/users/{name}/server")

    def spawn(self, name: str, server: str = "") -> str:
        """Start a server, if none was, and wait for it; its path."""
        self.begin(name, server)
        until(lambda: (self.server(name, server) or {}).get("ready"), 60, f"{name}'s server is not ready")
        return str(self.server(name, server)["url"])

    def stop_servers(self, name: str) -> None:
        servers = self.api("GET", f"/users/{name}").get("servers", {})
        for server in servers:
            self.api("DELETE", f"/users/{name}/servers/{server}" if server else f"/users/{name}/server")
        until(lambda: not self.api("GET", f"/users/{name}").get("servers"), 30, "not stopped")

    def token(self, name: str, *scopes: str) -> str:
        """A token for a program of a user."""
        self.add(name)
        body = {"note": "test", **({"scopes": list(scopes)} if scopes else {})}
        return str(self.api("POST", f"/users/{name}/tokens", body)["token"])

    def pid(self, name: str, server: str = "") -> int:
        """The process of a server."""
        prefix = f"/user/{name}/{server}/" if server else f"/user/{name}/"
        for pid, told in self.processes().items():
            if told["JUPYTERHUB_SERVICE_PREFIX"] == prefix:
                return pid
        raise AssertionError(f"no process of {prefix}")

    def processes(self) -> dict[int, dict[str, str]]:
        """The environments of its servers, by process."""
        found = {}
        for entry in Path("/proc").iterdir():
            with suppress(OSError):
                if entry.name.isdigit() and b"singleuser" in (entry / "cmdline").read_bytes():
                    lines = (entry / "environ").read_bytes().decode(errors="replace").split("\0")
                    told = dict(line.split("=", 1) for line in lines if "=" in line)
                    if told.get("JUPYTERHUB_API_URL", "").endswith(f":{self.hub_port}/hub/api"):
                        found[int(entry.name)] = told
        return found


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}


class Program:
    """A program of a user's, with a token; their server is started, if none was."""

    def __init__(self, hub: RealHub, user: str) -> None:
        self.hub = hub
        self.base = hub.spawn(user)
        self.token = hub.token(user, "access:servers!user")
        self.headers = bearer(self.token)

    def ask(self, method: str, path: str, body: Any = None, expect: int = 300) -> Any:
        raw = None if body is None else json.dumps(body).encode()
        answer = Person(self.hub).ask(method, f"{self.base}{path}", raw, headers=self.headers)
        assert answer.status < expect, (path, answer.status, answer.text[:500])
        return answer.json if answer.body else None

    def run(self, code: str) -> str:
        """Start code in a new kernel; the URL of its execution."""
        kernel = self.ask("POST", "api/kernels", {"name": "python3"})["id"]
        execution = self.ask("POST", f"api/kernels/{kernel}/execute", {"code": code})
        return f"api/kernels/{kernel}/execute/{execution['id']}"

    def said(self, execution: str) -> str:
        """What it has printed so far."""
        return json.dumps(self.ask("GET", f"{execution}?limit=1000"))

    def by_websocket(self, code: str) -> str:
        """What code prints in a new kernel that is talked to by a websocket."""
        assert self.hub.process is not None
        kernel = self.ask("POST", "api/kernels", {"name": "python3"})["id"]
        place = Daemon(self.hub.process, self.hub.home, self.hub.port, base=self.base.rstrip("/"))
        tab = Tab(place, kernel, V1, token=self.token).ready()
        try:
            return printed(tab.until_done(tab.execute(code)))
        finally:
            tab.close()


@contextmanager
def running(home: Path, version: str = "5", more: str = "", host: str = "", **environment: str) -> Iterator[RealHub]:
    """A Hub that has answered, stopped at the end with all servers."""
    with started(RealHub(home, version, environment, more, host=host)) as hub:
        yield hub


@contextmanager
def started(hub: RealHub) -> Iterator[RealHub]:
    """Start it, and stop it with all servers at the end."""
    try:
        hub.start()
        yield hub
    finally:
        hub.stop()
