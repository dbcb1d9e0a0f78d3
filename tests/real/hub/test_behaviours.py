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

from tests.real.daemon import BIN, until
from tests.real.hub.conftest import SPAWNING
from tests.real.hub.hub import Answer, Person, RealHub

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
SPAWNERS: dict[str, Any] = {
    "url-yes": {"environment": {"JUPYTERHUB_ALLOW_TOKEN_IN_URL": "1"}},
    "url-no": {"environment": {"JUPYTERHUB_ALLOW_TOKEN_IN_URL": "0"}},
    "dir-home": {"notebook_dir": "~"},
    "dir-sub": {"notebook_dir": "~/sub"},
    "dir-abs": {"notebook_dir": "/ABSOLUTE"},
    "no-config": {"disable_user_config": True},
    "active": {"environment": {"JUPYTERHUB_ACTIVITY_INTERVAL": "1"}},
    "begins": {
        "default_url": "/tree",
        "environment": {"JUPYTERHUB_SINGLEUSER_APP": "jupyter_server.serverapp.ServerApp"},
    },
}
FILES: dict[str, Any] = {
    "dir-plain": {"sub/subfile.txt": "text"},
    "dir-home": {"sub/subfile.txt": "text"},
    "dir-sub": {"sub/subfile.txt": "text"},
    "dir-abs": {"../../absolute/absfile.txt": "text"},
    "no-config": {
        ".jupyter/jupyter_server_config.py": "c.ServerApp.terminals_enabled = False\n",
        ".local/share/jupyter/kernels/mine/kernel.json": KERNEL,
    },
    "config": {
        ".jupyter/jupyter_server_config.py": (
            "c.ServerApp.terminals_enabled = False\n"
            "c.ServerApp.allow_unauthenticated_access = False\n"
            "c.ServerApp.port = 1\n"
            "c.HubAuth.cache_max_age = 17\n"
        ),
        ".local/share/jupyter/kernels/mine/kernel.json": KERNEL,
    },
}
MORE = f"""
SPAWNERS, FILES = {SPAWNERS!r}, {FILES!r}
SPAWNERS["dir-abs"]["notebook_dir"] = told["home"] + "/absolute"
LINKED = ("no-config",)
for name, (scopes, _) in {ACCESS!r}.items():
    c.JupyterHub.load_roles.append({{"name": "of-" + name, "users": ["may-" + name], "scopes": scopes}})
c.JupyterHub.load_groups = {{"visitors": {{"users": ["nandy"]}}, "strangers": {{"users": []}}}}
{SPAWNING}
"""


@pytest.fixture(scope="module")
def nandy(hub: RealHub) -> Person:
    """Who has a server that runs."""
    hub.spawn("nandy")
    return Person(hub).log_in("nandy")


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


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
def test_named_servers_are_entered_by_those_who_may(hub: RealHub) -> None:
    assert hub.spawn("two", "first") == "/user/two/first/"
    person = Person(hub).log_in("two")
    assert person.get("/user/two/first/").path == "/user/two/first/lab"
    assert ("jupyterhub-user-two-first", "/user/two/first/") in person.cookies()
    assert person.cookie("jupyterhub-user-two", "/user/two/") is None
    other = Person(hub).log_in("may-all")
    assert other.agree(other.get("/user/two/first/")).path == "/user/two/first/lab"


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
    ("user", "there"),
    [("dir-plain", "sub"), ("dir-home", "sub"), ("dir-sub", "subfile.txt"), ("dir-abs", "absfile.txt")],
)
def test_where_files_are(hub: RealHub, user: str, there: str) -> None:
    hub.spawn(user)
    token = hub.token(user, "access:servers!user")
    contents = Person(hub).ask("GET", f"/user/{user}/api/contents/", headers=bearer(token)).json
    assert there in [item["name"] for item in contents["content"]]


@pytest.mark.newest_hub
@pytest.mark.parametrize(("user", "read"), [("config", True), ("no-config", False)])
def test_files_in_the_home_count_where_they_are_to(hub: RealHub, user: str, read: bool) -> None:
    base = hub.spawn(user)
    token = hub.token(user, "access:servers!user")
    terminals = Person(hub).ask("GET", f"{base}api/terminals", headers=bearer(token))
    assert terminals.status == (404 if read else 200)
    specs = Person(hub).ask("GET", f"{base}api/kernelspecs", headers=bearer(token)).json["kernelspecs"]
    assert ("mine" in specs) == read


@pytest.mark.newest_hub
def test_where_it_begins(hub: RealHub) -> None:
    hub.spawn("begins")
    assert Person(hub).log_in("begins").get("/user/begins/").path == "/user/begins/tree"


@pytest.mark.newest_hub
@pytest.mark.parametrize(("user", "taken"), [("url-yes", True), ("url-no", False), ("url-plain", False)])
def test_a_token_in_the_url_of_a_page(hub: RealHub, user: str, taken: bool) -> None:
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
def test_activity_is_told(hub: RealHub) -> None:
    """By the server: the Hub asks its proxy every five minutes only."""
    base = hub.spawn("active")
    token = bearer(hub.token("active", "access:servers!user"))

    def told() -> tuple[str, str]:
        model = hub.api("GET", "/users/active")
        return model["last_activity"], model["servers"][""]["last_activity"]

    def newer() -> bool:
        assert Person(hub).ask("GET", f"{base}api/contents/", headers=token).status == 200
        return all(now > then for now, then in zip(told(), before, strict=True))

    before = told()
    until(newer, 20, "the Hub is not told")
    assert "Error notifying Hub of activity" not in hub.log


@pytest.mark.newest_hub
def test_it_ends_as_the_spawner_wants_it(hub: RealHub) -> None:
    hub.spawn("short")
    pid = hub.pid("short")
    hub.stop_servers("short")
    assert not os.path.exists(f"/proc/{pid}")
    assert "not everything stopped" not in hub.log
