"""What JupyterHub's own tests want of a user's server, held against ours from outside.

Source: ``jupyterhub/tests/test_singleuser.py`` of JupyterHub 5.5 and 6.1, behaviour by behaviour. Of these one is not
ours: ``JUPYTERHUB_SINGLEUSER_APP`` chooses no other application, there is one.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from typing import Any

import pytest

from tests.hub.variables import ACCEPTED, ACTING
from tests.real.daemon import BIN, alive, until
from tests.real.hub.conftest import SPAWNING, VERSIONS
from tests.real.hub.hub import ADMIN, Answer, Person, Program, RealHub, bearer

COMMAND = str(BIN / "jupyterd-singleuser")
ACCESS = {
    "group": (["access:servers!group=visitors"], True),
    "other-group": (["access:servers!group=strangers"], False),
    "all": (["access:servers"], True),
    "user": (["access:servers!user=nandy"], True),
    "server": (["access:servers!server=nandy/"], True),
    "other-server": (["access:servers!server=nandy/other"], False),
    "other-user": (["access:servers!user=somebody"], False),
    "named": (["access:servers!server=nandy/named"], False),
    "other-named": (["access:servers!server=nandy/names"], False),
    "services": (["access:services"], False),
    "self": (["self"], False),
    "nothing": ([], False),
}
NAMED = {
    "all": True,
    "user": True,
    "named": True,
    "other-named": False,
    "server": False,
    "other-user": False,
    "self": False,
    "nothing": False,
}
"""The same for nandy's server ``named``."""
KERNEL = json.dumps({"argv": ["x"], "display_name": "Mine", "language": "x"})
KERNEL_FILE = ".local/share/jupyter/kernels/mine/kernel.json"
SPAWNERS: dict[str, Any] = {
    "one": {
        "notebook_dir": "~/sub",
        "default_url": "/tree",
        "environment": {
            "JUPYTERHUB_ACTIVITY_INTERVAL": "1",
            "JUPYTERHUB_ALLOW_TOKEN_IN_URL": "1",
            "JUPYTERHUB_SINGLEUSER_APP": "jupyter_server.serverapp.ServerApp",
        },
    },
    "two": {
        "cmd": [str(BIN / "twistd"), "-n", "--pidfile=", "jupyterd"],
        "notebook_dir": "~",
        "disable_user_config": True,
        "environment": {"JUPYTERHUB_ALLOW_TOKEN_IN_URL": "0"},
    },
    "steady": {"environment": {"JUPYTERHUB_ACTIVITY_INTERVAL": "1"}},
    "three": {"notebook_dir": "/ABSOLUTE", "debug": True, "args": ["--allow-root", "--HubOAuth.cache_max_age=1"]},
}
FILES: dict[str, Any] = {
    "nandy": {"sub/subfile.txt": "text"},
    "one": {
        "sub/subfile.txt": "text",
        ".jupyter/jupyter_server_config.py": (
            "c.ServerApp.terminals_enabled = False\n"
            "c.ServerApp.allow_unauthenticated_access = False\n"
            "c.ServerApp.port = 1\n"
            "c.HubAuth.cache_max_age = 17\n"
        ),
        KERNEL_FILE: KERNEL,
    },
    "two": {
        "sub/subfile.txt": "text",
        ".jupyter/jupyter_server_config.py": "c.ServerApp.terminals_enabled = False\n",
        KERNEL_FILE: KERNEL,
    },
    "three": {"../../absolute/absfile.txt": "text"},
}
MORE = f"""
SPAWNERS, FILES = {SPAWNERS!r}, {FILES!r}
SPAWNERS["three"]["notebook_dir"] = told["home"] + "/absolute"
LINKED = ("two",)
for name, (scopes, _) in {ACCESS!r}.items():
    c.JupyterHub.load_roles.append({{"name": "of-" + name, "users": ["may-" + name], "scopes": scopes}})
c.JupyterHub.load_groups = {{"visitors": {{"users": ["nandy"]}}, "strangers": {{"users": []}}}}
{SPAWNING}
"""


@pytest.fixture(scope="module")
def nandy(hub: RealHub) -> Person:
    """Who has a server that runs. The others that the tests want start meanwhile."""
    hub.begin("nandy")
    if hub.version == VERSIONS[-1]:
        hub.begin("nandy", "named")
        for name in ("one", "two", "three"):
            hub.begin(name)
    hub.spawn("nandy")
    return Person(hub).log_in("nandy")


def test_without_cookies_a_page_leads_to_the_hubs_login(hub: RealHub, nandy: Person) -> None:
    answer = Person(hub).get("/user/nandy/")
    assert (answer.status, answer.path) == (200, "/hub/login")


def test_without_cookies_the_api_is_403_and_sets_none(hub: RealHub, nandy: Person) -> None:
    stranger = Person(hub)
    for path in ("/user/nandy/api/status", "/user/nandy/api/contents/"):
        answer = stranger.ask("GET", path, follow=False)
        assert (answer.status, answer.json["message"]) == (403, "Forbidden")
        assert "Set-Cookie" not in answer.headers
    assert stranger.cookies() == set()


def test_its_user_comes_in_and_logs_out(hub: RealHub, nandy: Person) -> None:
    person = Person(hub).log_in("nandy")
    answer = person.get("/user/nandy/")
    assert (answer.status, answer.path) == (200, "/user/nandy/lab")
    assert {("jupyterhub-user-nandy", "/user/nandy/"), ("_xsrf", "/user/nandy/")} <= person.cookies()
    kept = list(person.jar)
    answer = person.get("/user/nandy/logout", follow=False)
    assert (answer.status, answer.headers["Location"]) == (302, "/hub/logout")
    assert ("jupyterhub-user-nandy", "/user/nandy/") not in person.cookies()
    person.get("/hub/logout")
    assert person.get("/user/nandy/").path == "/hub/login"
    for cookie in kept:  # who has kept the cookies of before has nothing
        person.jar.set_cookie(cookie)
    person.drop("jupyterhub-session-id")
    assert person.ask("GET", "/user/nandy/api/status").status == 403


@pytest.mark.parametrize("name", ACCESS)
def test_scopes_decide_who_else_comes_in(hub: RealHub, nandy: Person, name: str) -> None:
    _, expected = ACCESS[name]
    other = Person(hub).log_in(f"may-{name}")
    answer = other.get("/user/nandy/")
    assert "/oauth2/authorize" in answer.url
    if not expected:
        assert answer.status == 403
        assert other.ask("GET", "/user/nandy/api/me").status == 403
        return
    answer = other.agree(answer)
    assert (answer.status, answer.path) == (200, "/user/nandy/lab")
    assert other.ask("GET", "/user/nandy/api/me").json["identity"]["username"] == f"may-{name}"


@pytest.fixture(scope="module")
def named(hub: RealHub, nandy: Person) -> str:
    """Another server of nandy's."""
    return hub.spawn("nandy", "named")


@pytest.mark.newest_hub
@pytest.mark.parametrize("name", NAMED)
def test_scopes_decide_who_comes_to_a_named_server(hub: RealHub, named: str, name: str) -> None:
    other = Person(hub).log_in(f"may-{name}")
    answer = other.get(named)
    assert "/oauth2/authorize" in answer.url
    if NAMED[name]:
        assert other.agree(answer).path == f"{named}lab"
    else:
        assert answer.status == 403


@pytest.mark.newest_hub
def test_a_named_server_has_cookies_of_its_own(hub: RealHub, named: str) -> None:
    assert named == "/user/nandy/named/"
    person = Person(hub).log_in("nandy")
    assert person.get(named).path == f"{named}lab"
    assert ("jupyterhub-user-nandy-named", named) in person.cookies()
    assert person.cookie("jupyterhub-user-nandy", "/user/nandy/") is None


def test_a_share_is_given_and_taken_away(hub: RealHub, nandy: Person) -> None:
    if hub.version.startswith("4"):
        pytest.skip("shares came with JupyterHub 5")
    hub.add("guest")
    guest = Person(hub).log_in("guest")
    assert guest.get("/user/nandy/").status == 403
    hub.api("POST", "/shares/nandy/", {"user": "guest"})
    answer = guest.agree(guest.get("/user/nandy/"))
    assert (answer.status, answer.path) == (200, "/user/nandy/lab")
    hub.api("PATCH", "/shares/nandy/", {"user": "guest"})
    guest.drop("jupyterhub-session-id")  # so that the Hub is asked now, and not when it would have been
    answer = guest.get("/user/nandy/lab", follow=False)
    assert answer.status == 403
    assert "guest is not allowed" in answer.text
    assert "Control Panel" in answer.text


@pytest.mark.newest_hub
@pytest.mark.parametrize(
    ("user", "there"), [("nandy", "sub"), ("two", "sub"), ("one", "subfile.txt"), ("three", "absfile.txt")]
)
def test_where_files_are(hub: RealHub, nandy: Person, user: str, there: str) -> None:
    base = hub.spawn(user)
    token = hub.token(user, "access:servers!user")
    contents = Person(hub).ask("GET", f"{base}api/contents/", headers=bearer(token)).json
    assert there in [item["name"] for item in contents["content"]]


@pytest.mark.newest_hub
@pytest.mark.parametrize(("user", "read"), [("one", True), ("two", False)])
def test_files_in_the_home_count_where_they_are_to(hub: RealHub, nandy: Person, user: str, read: bool) -> None:
    base = hub.spawn(user)
    token = hub.token(user, "access:servers!user")
    terminals = Person(hub).ask("GET", f"{base}api/terminals", headers=bearer(token))
    assert terminals.status == (404 if read else 200)
    specs = Person(hub).ask("GET", f"{base}api/kernelspecs", headers=bearer(token)).json["kernelspecs"]
    assert ("mine" in specs) == read


@pytest.mark.newest_hub
def test_where_it_begins(hub: RealHub, nandy: Person) -> None:
    base = hub.spawn("one")
    assert Person(hub).log_in("one").get(base).path == f"{base}tree"


@pytest.mark.newest_hub
@pytest.mark.parametrize(("user", "taken"), [("one", True), ("two", False), ("nandy", False)])
def test_a_token_in_the_url_of_a_page(hub: RealHub, nandy: Person, user: str, taken: bool) -> None:
    base = hub.spawn(user)
    token = hub.token(user, "access:servers!user")
    person = Person(hub)
    answer = person.get(f"{base}lab?token={token}", follow=False)
    assert answer.status == (200 if taken else 302)
    assert person.get(f"{base}lab", follow=False).status == (200 if taken else 302)
    if not taken:
        assert token not in answer.headers["Location"]
        assert person.ask("GET", f"{base}api/status?token={token}").status == 403


def test_a_link_to_the_hub_on_our_own_pages(hub: RealHub, nandy: Person) -> None:
    nandy.get("/user/nandy/")
    page = nandy.get("/user/nandy/view/nothing.html")
    assert page.status == 404
    link = re.search(r'id="jupyterhub-control-panel-link" href="([^"]+)"', page.text)
    assert link is not None
    assert link[1] == "/hub/home"


def test_pages_know_the_hub(hub: RealHub, nandy: Person) -> None:
    page = nandy.get("/user/nandy/lab").text
    told = json.loads(re.search(r'id="jupyter-config-data"[^>]*>(.*?)</script>', page, re.DOTALL)[1])  # type: ignore[index]
    expected = {
        "hubHost": "",
        "hubPrefix": "/hub/",
        "hubUser": "nandy",
        "hubServerUser": "nandy",
        "hubServerName": "",
        "shareUrl": "/hub/user-redirect",
    }
    assert {name: told[name] for name in expected} == expected
    me = Person(hub).ask("GET", "/hub/api/user", headers=bearer(told["token"])).json
    assert me["name"] == "nandy", "the page has its user's token, not the server's"


def test_all_that_the_hub_hands_over_is_known(hub: RealHub, nandy: Person) -> None:
    told = hub.processes()[hub.pid("nandy")]
    handed = {name for name in told if name.startswith("JUPYTERHUB_")}
    assert {"JUPYTERHUB_API_TOKEN", "JUPYTERHUB_OAUTH_CLIENT_ALLOWED_SCOPES"} <= handed
    assert handed <= {*ACTING, *ACCEPTED}


def test_a_service_looks_after_it(hub: RealHub, nandy: Person) -> None:
    """By its token; what tells of health needs none, as the probes of a cluster have none."""
    service = Person(hub)
    for path in ("metrics", "api/status", "api/kernels"):
        assert service.ask("GET", f"/user/nandy/{path}", headers=bearer(ADMIN)).status == 200, path
        assert service.ask("GET", f"/user/nandy/{path}", follow=False).status == 403, path
    for path in ("api", "healthz", "readyz"):
        assert service.ask("GET", f"/user/nandy/{path}", follow=False).status == 200, path


def test_help_and_version() -> None:
    def say(option: str) -> str:
        return subprocess.run([COMMAND, option], capture_output=True, text=True, check=True, timeout=60).stdout

    told = say("--help-all")
    assert "JupyterHub" in told
    assert "--ServerApp." in told
    assert re.fullmatch(r"[\d.]+\S*\n", say("--version"))


def test_without_a_hub_it_says_so() -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith("JUPYTERHUB_")}
    done = subprocess.run([COMMAND], capture_output=True, text=True, timeout=60, env=env)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "c.Spawner.cmd" in done.stderr


def test_the_hub_finds_nothing_wrong_with_its_version(hub: RealHub, nandy: Person) -> None:
    api: Answer = Person(hub).ask("GET", "/user/nandy/api")
    assert api.headers["X-JupyterHub-Version"].startswith(hub.version)
    assert "redirect loops" not in hub.log
    assert "has no version header" not in hub.log


@pytest.mark.newest_hub
def test_activity_is_told(hub: RealHub, nandy: Person) -> None:
    """By the server: the Hub asks its proxy every five minutes only."""
    base = hub.spawn("one")
    token = bearer(hub.token("one", "access:servers!user"))

    def told() -> tuple[str, str]:
        model = hub.api("GET", "/users/one")
        return model["last_activity"], model["servers"][""]["last_activity"]

    def newer() -> bool:
        made = Person(hub).ask("POST", f"{base}api/contents/", b'{"type": "file"}', headers=token)
        assert made.status == 201
        return all(now > then for now, then in zip(told(), before, strict=True))

    before = told()
    until(newer, 20, "the Hub is not told")
    assert "Error notifying Hub of activity" not in hub.log


@pytest.mark.newest_hub
def test_a_user_who_is_renamed_is_out(hub: RealHub, nandy: Person) -> None:
    base = hub.spawn("three")
    person = Person(hub).log_in("three")
    assert person.get(base).path == f"{base}lab"
    hub.api("PATCH", "/users/three", {"name": "four"})
    answers: list[Answer] = []

    def out() -> bool:
        answers.append(person.get(f"{base}lab", follow=False))
        return answers[-1].status != 200

    until(out, 20, "still in")
    assert answers[-1].status == 403
    assert "four is not allowed" in answers[-1].text
    hub.api("PATCH", "/users/four", {"name": "three"})


@pytest.mark.newest_hub
def test_it_ends_as_the_spawner_wants_it(hub: RealHub, nandy: Person) -> None:
    """With all that it runs."""
    program = Program(hub, "three")
    execution = program.run("import os; print('kernel', os.getpid(), 'runs')")
    kernel = until(lambda: re.search(r"kernel (\d+) runs", program.said(execution)), 30)
    pids = [hub.pid("three"), int(kernel[1])]
    assert all(map(alive, pids))
    hub.stop_servers("three")
    until(lambda: not any(map(alive, pids)), 20, "something is left")
    assert "not everything stopped" not in hub.log


@pytest.mark.newest_hub
def test_a_page_shuts_it_down(hub: RealHub, nandy: Person) -> None:
    program = Program(hub, "one")
    pid = hub.pid("one")
    program.ask("POST", "api/shutdown")
    until(lambda: not alive(pid), 20, "it runs on")


@pytest.mark.oldest_hub
def test_a_hub_that_dies_and_comes_back(hub: RealHub, nandy: Person) -> None:
    """With its proxy, which the next one replaces. Last of all, as others would notice."""
    program = Program(hub, "steady")
    pid = hub.pid("steady")
    person = Person(hub).log_in("steady")
    assert person.get("/user/steady/lab").status == 200
    end = hub.home / "enough"
    execution = program.run(
        "import itertools, os, time\nfor i in itertools.count():\n    print('tick', i, flush=True); time.sleep(0.2)\n"
        f"    if os.path.exists({str(end)!r}): print('en' + 'ough'); break"
    )
    until(lambda: "tick 1" in program.said(execution), 30)
    hub.kill()
    assert person.ask("GET", "/user/steady/api/contents", headers={"Sec-Fetch-Mode": "navigate"}).status == 200
    until(lambda: "can not be reached" in Person(hub).get("/user/steady/lab").text, 20)
    assert Person(hub).get("/user/steady/lab").status == 503
    seen = max(map(int, re.findall(r"tick (\d+)", program.said(execution))))
    until(lambda: f"tick {seen + 2}" in program.said(execution), 30, "the cell does not run on")
    until(lambda: "Error notifying Hub of activity" in hub.log, 20)
    hub.start()
    assert hub.server("steady")["ready"]
    assert hub.pid("steady") == pid
    end.touch()
    until(lambda: "enough" in program.said(execution), 30)
    assert person.get("/user/steady/lab").path == "/user/steady/lab"
    assert Person(hub).log_in("steady").get("/user/steady/").path == "/user/steady/lab"
    before = hub.server("steady")["last_activity"]
    program.ask("POST", "api/contents", {"type": "file"})
    until(lambda: hub.server("steady")["last_activity"] > before, 20, "activity is not told any more")
