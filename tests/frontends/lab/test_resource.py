"""Workspaces, languages, licenses, listings, plugins, news: through HTTP where that says more."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from jupyterd.config_manager import recursive_update
from jupyterd.frontends.lab import plugins
from jupyterd.frontends.lab.listings import PATH, Listings
from jupyterd.frontends.lab.news import News, releases_of
from jupyterd.frontends.lab.translations import Translations, newer
from jupyterd.frontends.lab.workspaces import ENDING, MAX_NAME_LENGTH, slug
from jupyterd.testing.deferreds import at_once, result_of
from tests.frontends.conftest import LOCALE, THEMES, Serve, write

pytestmark = pytest.mark.lab

# -- workspaces


def workspace(name: str) -> dict[str, Any]:
    return {"data": {"a": 1}, "metadata": {"id": name}}


@pytest.mark.parametrize("name", ["default", "auto-1", "a/b", "ä ö", "lab/workspaces/x"])
def test_a_workspace_is_kept_listed_and_deleted(serve: Serve, name: str) -> None:
    from urllib.parse import quote

    site, url = serve(), f"/lab/api/workspaces/{quote(name)}"
    assert site.request("GET", url).json() == {"data": {}, "metadata": {"id": f"/{name}"}}
    assert site.request("PUT", url, json_body=workspace(name)).status == 204
    found = site.request("GET", url).json()
    assert found["data"] == {"a": 1}
    assert set(found["metadata"]) == {"id", "created", "last_modified"}
    listed = site.request("GET", "/lab/api/workspaces").json()["workspaces"]
    assert (listed["ids"], listed["values"]) == ([name], [found])
    assert site.request("DELETE", url).status == 204
    answer = site.request("DELETE", url)
    assert answer.status == 404
    assert "not found" in answer.json()["message"]
    assert site.request("GET", "/lab/api/workspaces/").json() == {"workspaces": {"ids": [], "values": []}}


@pytest.mark.parametrize(
    ("method", "url", "body", "message"),
    [
        ("PUT", "/lab/api/workspaces/foo", b"{", "Expecting property name enclosed in double quotes"),
        ("PUT", "/lab/api/workspaces/foo", b"{}", "A workspace needs metadata.id"),
        ("PUT", "/lab/api/workspaces/foo", b"\xff", "A workspace is UTF-8"),
        ("PUT", "/lab/api/workspaces/foo", b"[" * 100_000, "maximum recursion depth exceeded"),
        ("PUT", f"/lab/api/settings/{THEMES}", b"[" * 100_000, "Failed parsing JSON payload"),
        (
            "PUT",
            "/lab/api/workspaces/foo",
            b'{"metadata": {"id": "bar"}}',
            "Workspace metadata ID mismatch: expected 'foo' got '/bar'",
        ),
        ("PUT", "/lab/api/workspaces/", b"{}", "Workspace name is required for PUT."),
        ("DELETE", "/lab/api/workspaces", None, "Workspace name is required for DELETE"),
    ],
)
def test_bad_workspaces(serve: Serve, method: str, url: str, body: bytes | None, message: str) -> None:
    answer = serve().request(method, url, body)
    assert answer.status == 400
    assert answer.json()["message"].startswith(message)


def test_a_broken_workspace_does_not_hide_the_others(serve: Serve, home: Path) -> None:
    site = serve()
    site.request("PUT", "/lab/api/workspaces/a", json_body=workspace("a"))
    write(home / "config" / "lab" / "workspaces" / f"b{ENDING}", "{")
    assert site.request("GET", "/lab/api/workspaces").json()["workspaces"]["ids"] == ["a"]


def test_files_have_the_names_that_jupyterlab_gave_them() -> None:
    assert [slug(name) for name in ("default", "/default", "foo", "Auto-A", "a/b c")] == [
        "default-37a8",
        "default-37a8",
        "foo-2c26",
        "auto-a-" + slug("Auto-A")[-4:],
        "ab-c-" + slug("a/b c")[-4:],
    ]


@given(st.text())
def test_a_workspace_never_leaves_its_directory(name: str) -> None:
    file = slug(name) + ENDING
    assert len(file) <= MAX_NAME_LENGTH
    assert "/" not in file
    assert not file.startswith(".")


# -- languages


def test_english_is_always_there(serve: Serve) -> None:
    answer = serve().request("GET", "/lab/api/translations")
    english = {"displayName": "English", "nativeName": "English"}
    assert answer.json() == {"data": {"en": english}, "message": ""}


@pytest.mark.parametrize(
    ("name", "message"),
    [("fr_FR", "Language pack 'fr_FR' not installed!"), ("xx", "Language pack 'xx' not valid!")],
)
def test_languages_that_are_not_there(serve: Serve, name: str, message: str) -> None:
    answer = serve().request("GET", f"/lab/api/translations/{name}")
    assert answer.status == 200
    assert answer.json() == {"data": {}, "message": message}


@pytest.fixture
def french(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A language pack."""
    pack = tmp_path / "packs" / "jupyterlab_language_pack_fr_FR"
    write(pack / "__init__.py", "raise RuntimeError('a language pack is never imported')")
    messages = pack / "locale" / "fr_FR" / "LC_MESSAGES"
    write(messages / "jupyterlab.json", {"": {"version": "4.0.0", "domain": "jupyterlab"}, "File": ["Fichier"]})
    compiled(messages / "jupyterlab.mo", {"schema\x04Theme": "Thème"})
    entry = "[jupyterlab.languagepack]\nfr_FR = jupyterlab_language_pack_fr_FR\n"
    info = tmp_path / "packs" / "jupyterlab_language_pack_fr_FR-4.0.dist-info"
    write(info / "entry_points.txt", entry)
    write(info / "METADATA", "Metadata-Version: 2.1\nName: jupyterlab-language-pack-fr-FR\nVersion: 4.0\n")
    monkeypatch.syspath_prepend(str(tmp_path / "packs"))


def compiled(path: Path, texts: dict[str, str]) -> None:
    """A ``.mo`` file. Source: GNU gettext manual, "The Format of GNU MO Files"."""
    import struct

    entries = sorted({"": "Content-Type: text/plain; charset=UTF-8\n", **texts}.items())
    keys, values, offsets = b"", b"", []
    for key, value in entries:
        offsets.append((len(key.encode()), len(keys), len(value.encode()), len(values)))
        keys += key.encode() + b"\0"
        values += value.encode() + b"\0"
    count, start = len(entries), 28 + 16 * len(entries)
    table = [number for klen, koff, _, _ in offsets for number in (klen, koff + start)]
    table += [number for _, _, vlen, voff in offsets for number in (vlen, voff + start + len(keys))]
    head = struct.pack("<Iiiiiii", 0x950412DE, 0, count, 28, 28 + 8 * count, 0, 0)
    path.write_bytes(head + struct.pack(f"<{len(table)}i", *table) + keys + values)


def test_a_language_pack_is_read_without_importing_it(serve: Serve, french: None) -> None:
    site = serve()
    packs = site.request("GET", "/lab/api/translations").json()["data"]
    assert packs["fr_FR"] == {"displayName": "French (France)", "nativeName": "Français (France)"}
    pack = site.request("GET", "/lab/api/translations/fr_FR").json()
    assert (pack["data"]["jupyterlab"]["File"], pack["message"]) == (["Fichier"], "")


def test_schemas_are_shown_in_the_users_language(serve: Serve, french: None) -> None:
    site = serve()
    assert site.request("PUT", f"/lab/api/settings/{LOCALE}", json_body={"raw": '{"locale": "fr_FR"}'}).status == 204
    schema = site.request("GET", "/lab/api/settings/@jupyterlab/apputils-extension:themes").json()["schema"]
    assert schema["title"] == "Thème"
    assert site.request("GET", "/lab/api/translations").json()["data"]["fr_FR"]["displayName"] == "Français (France)"


def test_a_later_translation_of_a_package_itself_wins() -> None:
    pack = {"": {"version": "1.0", "domain": "d"}, "a": ["A"], "b": ["B"]}
    package = {"": {"version": "1.1", "domain": "d"}, "a": ["C"]}
    assert newer(pack, package)["a"] == ["C"]
    assert newer(package, pack)["a"] == ["C"]
    assert newer(pack, {**package, "": {"version": "none", "domain": "d"}}) == pack


def test_languages_that_can_not_be_used_become_english() -> None:
    assert Translations().usable("nonsense-language") == "en"
    assert Translations().usable("pt_BR") == "pt_BR"


# -- licenses, listings


def test_licenses_in_three_forms(serve: Serve) -> None:
    site = serve()
    bundles = site.request("GET", "/lab/api/licenses/").json()["bundles"]
    assert bundles == {
        "@jupyterlab/application-top": {"packages": [{"name": "x", "licenseId": "MIT"}]},
        "@org/thing": {"packages": []},
    }
    answer = site.request("GET", "/lab/api/licenses/?format=csv&download=1&bundles=%40jupyterlab")
    assert answer.header("content-type") == "text/csv"
    assert answer.header("content-disposition") == "attachment; filename*=utf-8''jupyterlab-licenses.csv"
    assert answer.body.splitlines()[1] == b"@jupyterlab/application-top,x,,MIT,"
    answer = site.request("GET", "/lab/api/licenses?format=markdown&full_text=false")
    assert "**x**" in answer.body.decode()


@pytest.mark.parametrize("query", ["format=bad", "bundles=(", "download=maybe"])
def test_bad_questions_about_licenses(serve: Serve, query: str) -> None:
    assert serve().request("GET", f"/lab/api/licenses/?{query}").status == 400


def test_listings_without_any(serve: Serve) -> None:
    assert serve().request("GET", f"/lab/api/listings/{PATH}").json() == {
        "blocked_extensions_uris": [],
        "allowed_extensions_uris": [],
        "blocked_extensions": [],
        "allowed_extensions": [],
    }
    assert serve().request("GET", "/lab/api/listings/other").status == 400


def test_listings_are_fetched_now_and_then_and_kept_when_that_fails() -> None:
    answers = [b'{"blocked_extensions": [{"name": "evil"}]}', b"not json", b'{"blocked_extensions": []}']
    clock = Clock()
    listings = Listings(clock, at_once, blocked_uris=["https://x/l"], fetch=lambda uri, options: answers.pop(0))  # type: ignore[arg-type]

    def blocked() -> Any:
        return result_of(Deferred.fromCoroutine(listings.get()))["blocked_extensions"]

    assert blocked() == [{"name": "evil"}]
    assert len(answers) == 2
    assert blocked() == [{"name": "evil"}]
    assert len(answers) == 2
    clock.advance(3601)
    assert blocked() == [{"name": "evil"}]
    clock.advance(3601)
    assert blocked() == []


# -- plugins, build, extensions


def test_plugins_are_switched_unless_locked(serve: Serve, home: Path) -> None:
    site = serve("--PluginManager.level=user")
    assert site.request("GET", "/lab/api/plugins").json() == {"lockRules": [], "allLocked": False}
    ok = {"status": "ok", "message": None, "needs_restart": ["frontend"]}
    answer = site.request("POST", "/lab/api/plugins", json_body={"cmd": "disable", "plugin_name": "@a/b:c"})
    assert (answer.status, answer.json()) == (201, ok)
    kept = home / "config" / "labconfig" / "page_config.json"
    assert json.loads(kept.read_text()) == {"disabledExtensions": {"@a/b:c": True}}
    answer = site.request("POST", "/lab/api/plugins", json_body={"cmd": "enable", "plugin_name": "@a/b:c"})
    assert answer.json() == ok
    assert json.loads(kept.read_text()) == {"disabledExtensions": {"@a/b:c": False}}
    write(kept, {"lockedExtensions": {"@a/b": True, "@x/y:z": True}})
    assert site.request("GET", "/lab/api/plugins").json()["lockRules"] == ["@a/b", "@x/y:z"]
    for name in ("@a/b:c", "@x/y", "@x/y:z"):
        answer = site.request("POST", "/lab/api/plugins", json_body={"cmd": "disable", "plugin_name": name})
        assert answer.status == 500
        assert answer.json()["status"] == "error"
        assert name in answer.json()["message"]
    assert site.request("POST", "/lab/api/plugins", json_body={"cmd": "disable", "plugin_name": "@x/y:w"}).status == 201


@pytest.mark.parametrize("what", ["plugin", "extension"])
def test_instructions_that_are_none(serve: Serve, what: str) -> None:
    site, url = serve(), f"/lab/api/{what}s"
    answer = site.request("POST", url, json_body={"cmd": "x", f"{what}_name": "y"})
    assert answer.status == 422
    assert answer.json() == {"message": f"Could not process instruction 'x' with {what} name 'y'", "reason": None}
    assert site.request("POST", url, json_body={"cmd": "enable"}).status == 400
    assert site.request("POST", url, json_body={"cmd": "enable", f"{what}_name": 3}).status == 400
    assert site.request("POST", url, b"{").status == 400


def test_there_is_nothing_to_build(serve: Serve) -> None:
    site = serve()
    assert site.request("GET", "/lab/api/build").json() == {"status": "stable", "message": ""}
    assert site.request("DELETE", "/lab/api/build").status == 404


@pytest.mark.parametrize(("level", "expected"), [("user", 0o600), ("sys_prefix", 0o640), ("system", 0o640)])
def test_what_is_for_the_installation_is_for_all_its_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, level: str, expected: int
) -> None:
    monkeypatch.setattr(plugins, "level_directory", lambda _: str(tmp_path))
    umask = os.umask(0o027)
    try:
        assert plugins.Plugins(level=level).switch("@a/b:c", on=False)["status"] == "ok"
    finally:
        os.umask(umask)
    assert (tmp_path / "page_config.json").stat().st_mode & 0o777 == expected


def test_all_plugins_can_be_locked(serve: Serve) -> None:
    site = serve("--LabApp.lock_all_plugins=True")
    assert site.request("GET", "/lab/api/plugins").json()["allLocked"] is True
    answer = site.request("POST", "/lab/api/extensions", json_body={"cmd": "disable", "extension_name": "x"})
    assert answer.status == 500


# -- news

FEED = b"""<feed xmlns="http://www.w3.org/2005/Atom"><entry><title>T</title><id>i</id><summary>S</summary>
<updated>2024-05-01T10:00:00Z</updated><published>2024-04-01T10:00:00+00:00</published>
<link rel="self" href="https://x/self"/><link rel="alternate" href="https://x/a"/></entry></feed>"""


def news(answer: Any, feed: str | None = "https://x/feed", check: bool = True) -> News:
    def fetch(uri: str, options: Any, most: int) -> bytes:
        if isinstance(answer, Exception):
            raise answer
        return answer  # type: ignore[no-any-return]

    return News(Clock(), at_once, feed, "https://x/json" if check else None, "4.6.6", fetch)  # type: ignore[arg-type]


def run(coroutine: Any) -> Any:
    return result_of(Deferred.fromCoroutine(coroutine))


def test_news_are_shown() -> None:
    (entry,) = run(news(FEED).news())
    assert entry == {
        "createdAt": 1711965600000.0,
        "message": "T\nS",
        "modifiedAt": 1714557600000.0,
        "type": "info",
        "link": ["Open full post", "https://x/a"],
        "options": {"data": {"id": "i", "tags": ["news"]}},
    }


@pytest.mark.parametrize("answer", [OSError("down"), b"<html>", b"", FEED.replace(b"updated", b"other")])
def test_no_news_is_good_news(answer: Any) -> None:
    assert run(news(answer).news()) == []
    assert run(news(answer).update()) is None


def test_nobody_is_asked_where_that_is_switched_off() -> None:
    off = news(AssertionError("asked"), feed=None, check=False)
    assert run(off.news()) == []
    assert run(off.update()) is None


@pytest.mark.parametrize(("latest", "told"), [("99.0.0", True), ("4.6.6", False), ("junk", False)])
def test_newer_versions_are_told(latest: str, told: bool) -> None:
    notice = run(news(json.dumps({"info": {"version": latest}}).encode()).update())
    assert (notice is not None) is told
    if notice is not None:
        assert "99.0.0" in notice["message"]
        assert len(notice["options"]["data"]["id"]) == 40


def test_a_lab_says_where_its_releases_are(tmp_path: Path) -> None:
    assert releases_of(str(tmp_path)) is None
    module = tmp_path / "handlers" / "announcements.py"
    module.parent.mkdir()
    module.write_text('A = 1\nJUPYTERLAB_LAST_RELEASE_URL = "https://x/json"\n')
    assert releases_of(str(tmp_path)) == "https://x/json"
    module.write_text("JUPYTERLAB_LAST_RELEASE_URL = 'file:///etc/passwd'\n")
    assert releases_of(str(tmp_path)) is None


def test_the_network_is_asked_once_an_hour() -> None:
    asked: list[str] = []
    answers: list[Deferred[bytes]] = []

    def slowly(fetch: Any, uri: str, *_: Any) -> Deferred[bytes]:
        asked.append(uri)
        answers.append(Deferred())
        return answers[-1]

    clock = Clock()
    once = News(clock, slowly, "https://x/feed", "https://x/json", "4.6.6")  # type: ignore[arg-type]
    pages = [Deferred.fromCoroutine(once.news()) for _ in range(2)]
    answers[0].callback(FEED)
    assert [len(result_of(page)) for page in pages] == [1, 1]
    assert len(run(once.news())) == 1
    assert asked == ["https://x/feed"]
    clock.advance(3601)
    page = Deferred.fromCoroutine(once.news())
    answers[1].errback(OSError("down"))
    assert result_of(page) == []
    assert run(once.news()) == []
    assert len(asked) == 2


# -- merging

trees = st.recursive(
    st.none() | st.booleans() | st.integers(),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner),
    max_leaves=12,
)
objects = st.dictionaries(st.sampled_from("abc"), trees)


@given(objects, objects)
def test_merging_twice_is_merging_once(one: dict[str, Any], two: dict[str, Any]) -> None:
    recursive_update(one, two)
    once = json.loads(json.dumps(one))
    recursive_update(one, two)
    assert one == once


def test_merging_deletes_with_none_and_drops_what_is_empty() -> None:
    target = {"a": {"b": 1, "c": 2}, "d": 3}
    recursive_update(target, {"a": {"b": None}, "d": None, "e": {"f": None}})
    assert target == {"a": {"c": 2}}
