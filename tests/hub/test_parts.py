"""The parts alone: environment, scopes, cache, activity, the greeting."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from operator import attrgetter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock

from jupyterd.hub.activity import ActivityReports
from jupyterd.hub.cache import TokenCache
from jupyterd.hub.environment import MARK, flag, is_set, settings_of
from jupyterd.hub.errors import HubAway
from jupyterd.hub.greeting import Greeting
from jupyterd.hub.scopes import allowed_by
from jupyterd.settings.load import BadSettings, load
from tests.hub.serving import ENVIRONMENT

# -- the environment


@pytest.fixture
def environ(monkeypatch: pytest.MonkeyPatch) -> Mapping[str, str]:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    return os.environ


def test_the_hub_decides_where_the_server_is(environ: Mapping[str, str], jupyter_home: Any) -> None:
    config = jupyter_home / "config"
    config.mkdir()
    (config / "jupyter_server_config.py").write_text(
        "c.ServerApp.port = 1\nc.ServerApp.base_url = '/x'\nc.ServerApp.default_url = '/tree'\n"
        "c.HubAuth.cache_max_age = 7\nc.ServerApp.max_body_size = 99\n"
    )
    server = load(["--allow-root"]).server
    assert (server.ip, server.port, server.base_url) == ("127.0.0.1", 41234, "/user/ada/")
    assert (server.port_retries, server.allow_remote_access, server.trust_xheaders) == (0, True, True)
    assert (server.default_url, server.max_body_size) == ("/tree", 99), "all else is the user's"
    assert server.identity_provider.hub_auth.cache_max_age == 7
    assert not server.quit_button
    assert server.answer_yes, "SIGINT, by which spawners stop servers, is not asked about"


def test_the_command_line_wins_over_the_hub(environ: Mapping[str, str]) -> None:
    server = load(["--allow-root", "--port=5", "--hub-host=https://h", "--user=u"]).server
    assert server.port == 5
    assert server.identity_provider.hub_auth.page("home") == "https://h/hub/home"
    assert server.identity_provider.singleuser.user == "u"


@pytest.mark.parametrize(
    ("option", "name", "value"),
    [
        ("--user=u", "singleuser.user", "u"),
        ("--group=g", "singleuser.group", "g"),
        ("--hub-host=https://h", "hub_auth.hub_host", "https://h"),
        ("--hub-prefix=/x/hub/", "hub_auth.hub_prefix", "/x/hub/"),
        ("--hub-api-url=http://h/hub/api", "hub_auth.api_url", "http://h/hub/api"),
        ("--disable-user-config", "singleuser.disable_user_config", True),
        ("--HubAuth.cache_max_age=5", "hub_auth.cache_max_age", 5),
        ("--HubOAuth.oauth_client_id=c", "hub_auth.oauth_client_id", "c"),
        ("--JupyterHubSingleUser.hub_activity_interval=3", "singleuser.hub_activity_interval", 3),
        ("--base-url=/y/", "parent.base_url", "/y/"),
    ],
)
def test_options_of_the_hubs_own_server(environ: Mapping[str, str], option: str, name: str, value: Any) -> None:
    provider = load(["--allow-root", option]).server.identity_provider
    assert attrgetter(name)(provider) == value


@pytest.mark.parametrize(
    ("url", "ip", "port"),
    [
        ("http://127.0.0.1:8000/user/x/", "127.0.0.1", 8000),
        ("http://:8000/user/x/", "", 8000),
        ("http://0.0.0.0:8000", "0.0.0.0", 8000),
        ("http://[::1]:8000/", "::1", 8000),
        ("https://10.0.0.1/", "10.0.0.1", 443),
        ("http://10.0.0.1/", "10.0.0.1", 80),
    ],
)
def test_the_service_url(url: str, ip: str, port: int) -> None:
    server = settings_of({"JUPYTERHUB_SERVICE_URL": url})["ServerApp"]
    assert (server["ip"], server["port"]) == (ip, port)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("JUPYTERHUB_SERVICE_URL", "nonsense", "JUPYTERHUB_SERVICE_URL"),
        ("JUPYTERHUB_SERVICE_URL", "http://x:notaport/", "ort"),
        ("JUPYTERHUB_API_TOKEN", "", "JUPYTERHUB_API_TOKEN"),
        ("JUPYTERHUB_CLIENT_ID", "", "JUPYTERHUB_CLIENT_ID"),
    ],
)
def test_what_a_server_can_not_be_without(
    environ: Mapping[str, str], monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(BadSettings, match=words):
        load(["--allow-root"])


def test_directories_begin_in_the_home(
    environ: Mapping[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    (tmp_path / "work").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("JUPYTERHUB_ROOT_DIR", "JUPYTERHUB_NOTEBOOK_DIR"):
        monkeypatch.setenv(name, "~/work")
        assert load(["--allow-root"]).server.root_dir == str(tmp_path / "work")
        monkeypatch.delenv(name)


def test_a_server_in_a_terminal_of_a_hubs_server_is_a_server_of_its_own() -> None:
    below = {**ENVIRONMENT, MARK: "1"}
    assert is_set(ENVIRONMENT)
    assert not is_set(below)
    assert is_set({**below, MARK: str(os.getpid())}), "the one that has left the mark"


def test_files_of_the_home_do_not_count(
    environ: Mapping[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    real = tmp_path / "real"
    real.mkdir()
    (tmp_path / "home").symlink_to(real)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for kind in ("CONFIG", "DATA", "RUNTIME"):
        monkeypatch.delenv(f"JUPYTER_{kind}_DIR", raising=False)
    monkeypatch.setenv("JUPYTERHUB_DISABLE_USER_CONFIG", "1")
    server = load(["--allow-root"]).server
    kept = [*server.config_file_paths, *server.config.KernelSpecManager.kernel_dirs, server.config_dir]
    assert kept
    assert not [path for path in kept if os.path.realpath(path).startswith(str(tmp_path))]


@pytest.mark.parametrize(("text", "yes"), [("1", True), ("0", False), ("", False), ("false", False), ("True", True)])
def test_flags(text: str, yes: bool) -> None:
    assert flag({"F": text}, "F") is yes


@pytest.mark.parametrize("name", ["JUPYTERHUB_COOKIE_OPTIONS", "JUPYTERHUB_OAUTH_ACCESS_SCOPES"])
def test_json_that_is_none(environ: Mapping[str, str], monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    from traitlets import TraitError

    monkeypatch.setenv(name, "{[")
    auth = load(["--allow-root"]).server.identity_provider.hub_auth
    with pytest.raises(TraitError, match=name):
        _ = auth.cookie_options, auth.access_scopes


# -- scopes

NAMES = st.sampled_from(["ada", "eve"])
FILTERS = st.one_of(
    st.just(""),
    NAMES.map(lambda user: f"!user={user}"),
    st.tuples(NAMES, st.sampled_from(["", "one"])).map(lambda pair: f"!server={pair[0]}/{pair[1]}"),
    st.just("!group=g"),
)
SCOPES = st.tuples(st.sampled_from(["access:servers", "read:users"]), FILTERS).map("".join)


def _servers(scope: str) -> set[tuple[str, str]]:
    """The servers that a scope is about, by the documentation's words."""
    base, _, condition = scope.partition("!")
    entity, _, name = condition.partition("=")
    if base != "access:servers" or entity == "group":
        return set()
    every = {(user, server) for user in ("ada", "eve") for server in ("", "one")}
    if not condition:
        return every
    if entity == "user":
        return {pair for pair in every if pair[0] == name}
    user, _, server = name.partition("/")
    return {(user, server)}


@given(st.sets(SCOPES), SCOPES)
def test_a_scope_lets_in_where_it_holds_all_that_is_asked(held: set[str], required: str) -> None:
    allowed = bool(allowed_by({required}, held))
    assert not allowed or any(required.partition("!")[0] == scope.partition("!")[0] for scope in held)
    if required.startswith("access:servers") and "group" not in required:
        assert allowed == any(_servers(required) <= _servers(scope) and _servers(scope) for scope in held)


def test_nothing_asked_lets_nobody_in() -> None:
    assert allowed_by([], ["access:servers"]) == set()


# -- the cache


def test_a_failure_is_everybodys_and_forgotten_soon() -> None:
    clock, asked = Clock(), []
    cache: TokenCache[str] = TokenCache(clock, 300, 8)

    async def ask() -> str | None:
        asked.append(1)
        raise HubAway("away")

    failures: list[Any] = []
    for _ in range(5):
        found = cache.get("s", "t", ask)
        assert isinstance(found, Deferred)
        found.addErrback(failures.append)
    assert (len(failures), len(asked)) == (5, 1)
    clock.advance(2.1)
    cache.get("s", "t", ask).addErrback(failures.append)  # type: ignore[union-attr]
    assert len(asked) == 2


def test_other_sessions_and_tokens_are_asked_for_themselves() -> None:
    cache: TokenCache[str] = TokenCache(Clock(), 300, 8)

    def value(text: str) -> Any:
        async def ask() -> str | None:
            return text

        return ask

    assert [cache.get(*key, value("".join(key))) for key in (("a", "b"), ("ab", ""), ("", "ab"))]
    assert [cache.get(*key, value("?")) for key in (("a", "b"), ("ab", ""), ("", "ab"))] == ["ab", "ab", "ab"]
    assert len(cache) == 3


def test_the_cache_is_bounded() -> None:
    cache: TokenCache[str] = TokenCache(Clock(), 300, 3)

    async def ask() -> str | None:
        return None

    for number in range(10):
        cache.get("", str(number), ask)
    assert len(cache) == 3


# -- activity


class Reports:
    """A server whose activity is told."""

    def __init__(self, interval: float = 300.0) -> None:
        self.clock = Clock()
        self.used = 0.0
        self.told: list[Any] = []
        self.away = False
        self.service = ActivityReports(
            self.clock, self.post, lambda: self.used, lambda seconds: f"T{seconds:.0f}", interval, "s", lambda: 0.5
        )

    def post(self, body: Mapping[str, Any]) -> Deferred[None]:
        self.told.append(json.loads(json.dumps(body)))
        if self.away:
            raise HubAway("away")
        return succeed(None)


def test_activity_is_told_at_the_start_and_when_there_is_some() -> None:
    reports = Reports()
    reports.service.startService()
    assert reports.told == [{"servers": {"s": {"last_activity": "T0"}}, "last_activity": "T0"}]
    reports.clock.advance(300)
    assert len(reports.told) == 1, "nothing new"
    reports.used = 250.0
    reports.clock.advance(300)
    assert [told["last_activity"] for told in reports.told] == ["T0", "T250"]


def test_a_hub_that_is_away_is_told_again_and_not_for_ever() -> None:
    reports = Reports()
    reports.away = True
    reports.service.startService()
    reports.clock.pump([0.25] * 600)
    assert 6 <= len(reports.told) <= 12
    reports.away = False
    reports.clock.pump([1.0] * 300)
    before = len(reports.told)
    reports.clock.pump([1.0] * 600)
    assert len(reports.told) == before


def test_telling_stops_with_the_server() -> None:
    reports = Reports()
    reports.away = True
    reports.service.startService()
    reports.service.stopService()
    assert reports.clock.getDelayedCalls() == []


# -- the greeting


class AgedHub:
    """A Hub of some version, or one that does not answer."""

    def __init__(self, *answers: str | None) -> None:
        self.answers = list(answers)

    async def version(self) -> str:
        answer = self.answers.pop(0)
        if answer is None:
            raise HubAway("away")
        return answer


@pytest.mark.parametrize(
    ("version", "shown"),
    [("4.1.6", "4.1.6"), ("5.5.4", "5.5.4"), ("6.1.1", "6.1.1"), ("3.1", "6.1"), ("", "6.1"), ("9", "6.1")],
)
def test_the_version_that_is_shown_to_the_hub(version: str, shown: str) -> None:
    known: list[str] = []
    Greeting(Clock(), AgedHub(version), known.append, lambda: None).startService()  # type: ignore[arg-type]
    assert known == [shown]


def test_a_hub_that_does_not_answer_is_asked_again() -> None:
    clock, known, unknown = Clock(), [], []  # type: ignore[var-annotated]
    hub = AgedHub(None, None, "5.0.0")
    service = Greeting(clock, hub, known.append, lambda: unknown.append(1))  # type: ignore[arg-type]
    service.startService()
    assert (known, len(unknown)) == ([], 1)
    clock.advance(2)
    clock.advance(4)
    assert known == ["5.0.0"]
    service.stopService()
    assert clock.getDelayedCalls() == []
