"""Settings of plugins: schemas, defaults of operators, what users write."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyterd.frontends.json_files import replace
from jupyterd.frontends.lab.plugin_settings import NoSuchSettings, PluginSettings
from jupyterd.frontends.lab.translations import Translations
from tests.frontends.conftest import LOCALE, THEMES, Serve, write

pytestmark = pytest.mark.lab

URL = f"/lab/api/settings/{THEMES}"


def user_file(home: Path, name: str = "themes") -> Path:
    return (
        home / "config" / "lab" / "user-settings" / "@jupyterlab" / "apputils-extension" / f"{name}.jupyterlab-settings"
    )


def test_a_plugin_before_its_user_has_written_anything(serve: Serve) -> None:
    model = serve().request("GET", URL).json()
    assert model.pop("schema")["title"] == "Theme"
    assert model == {
        "id": THEMES,
        "version": "4.6.6",
        "raw": "{}",
        "settings": {},
        "last_modified": None,
        "created": None,
    }


def test_what_a_user_writes_is_kept_with_its_comments(serve: Serve, home: Path) -> None:
    raw = '// dark\n{"theme": "Dark",}'
    site = serve()
    answer = site.request("PUT", URL, json_body={"raw": raw})
    assert (answer.status, answer.body) == (204, b"")
    model = site.request("GET", URL).json()
    assert (model["raw"], model["settings"]) == (raw, {"theme": "Dark"})
    assert model["last_modified"].endswith("+00:00")
    assert user_file(home).read_text() == raw
    assert [path.name for path in user_file(home).parent.iterdir()] == ["themes.jupyterlab-settings"]


def test_all_plugins(serve: Serve) -> None:
    site = serve()
    names = [each["id"] for each in site.request("GET", "/lab/api/settings").json()["settings"]]
    assert names == ["@org/thing:main", LOCALE, THEMES]
    answer = site.request("GET", "/lab/api/settings?ids_only=true").json()
    assert answer == {"settings": [{"id": name} for name in names]}
    assert site.request("GET", "/lab/api/settings/").json()["settings"][0]["warning"] is None


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"x", "Failed parsing JSON payload: Expecting value: line 1 column 1 (char 0)"),
        (b"", "Failed parsing JSON payload: Expecting value: line 1 column 1 (char 0)"),
        (b"{}", "Invalid format for JSON payload. Must be in the form {'raw': ...}"),
        (b"[]", "Invalid format for JSON payload. Must be in the form {'raw': ...}"),
        (b'{"raw": "{"}', "Failed parsing settings"),
        (b'{"raw": 3}', "Failed parsing settings"),
        (b'{"raw": "\\ud800"}', "Failed parsing settings"),
        (json.dumps({"raw": "[" * 100_000}).encode(), "Failed parsing settings"),
        (b'{"raw": "{\\"theme\\": 3}"}', "Failed validating input: 3 is not of type 'string'"),
    ],
)
def test_what_is_wrong_is_refused_and_nothing_kept(serve: Serve, home: Path, body: bytes, message: str) -> None:
    answer = serve().request("PUT", URL, body)
    assert answer.status == 400
    assert answer.json()["message"].startswith(message)
    assert not user_file(home).exists()


@pytest.mark.parametrize(
    "name",
    ["nope", "a:b", "..:x", "../..:x", "@jupyterlab/../..:x", "a:b:c", "@jupyterlab/apputils-extension:../x", "a/:b"],
)
@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_names_that_are_none(serve: Serve, home: Path, method: str, name: str) -> None:
    write(home / "app" / "x.json", {"secret": 1})
    write(home / "x.json", {"secret": 1})
    for url in (quote(name, safe="/@:"), quote(name, safe="")):
        answer = serve().request(
            method, f"/lab/api/settings/{url}", json_body={"raw": "{}"} if method == "PUT" else None
        )
        assert answer.status == 404
        assert b"secret" not in answer.body


def test_defaults_of_operators(serve: Serve, home: Path) -> None:
    settings = home / "app" / "settings"
    write(settings / "overrides.d" / "a.json", {THEMES: {"theme": "A", "overrides": {"b": 2}, "new": 3}})
    write(settings / "overrides.json5", f'// operator\n{{"{THEMES}": {{"theme": "B"}}}}')
    properties = serve().request("GET", URL).json()["schema"]["properties"]
    assert properties["theme"]["default"] == "B"
    assert properties["overrides"]["default"] == {"a": 1, "b": 2}
    assert properties["new"] == {"default": 3}
    labconfig = home / "config" / "labconfig" / "default_setting_overrides.json"
    write(labconfig, {THEMES: {"theme": "C"}})
    assert serve().request("GET", URL).json()["schema"]["properties"]["theme"]["default"] == "C"


def test_settings_that_their_schema_refuses_count_as_none(serve: Serve, home: Path) -> None:
    write(user_file(home), '{"theme": 3}')
    model = serve().request("GET", URL).json()
    assert (model["raw"], model["settings"]) == ("{}", {})


def test_a_broken_schema_takes_only_itself_away(serve: Serve, home: Path) -> None:
    write(home / "ext" / "@org" / "thing" / "schemas" / "@org" / "thing" / "main.json", "{")
    site = serve()
    names = [each["id"] for each in site.request("GET", "/lab/api/settings").json()["settings"]]
    assert names == [LOCALE, THEMES]
    answer = site.request("GET", "/lab/api/settings/@org/thing:main")
    assert answer.status == 500
    assert answer.json()["message"].startswith("Failed parsing schema (@org/thing:main)")


def test_a_broken_file_of_a_user_is_told(serve: Serve, home: Path) -> None:
    write(user_file(home), "{")
    assert serve().request("GET", URL).status == 500
    listed = {each["id"]: each for each in serve().request("GET", "/lab/api/settings").json()["settings"]}
    assert len(listed) == 3, "without its schema the page could not load the plugin"
    assert (listed[THEMES]["settings"], listed[THEMES]["raw"]) == ({}, "{}")
    assert "Failed loading settings" in listed[THEMES]["warning"]


def test_schemas_of_extensions_win(serve: Serve, home: Path) -> None:
    name = "@jupyterlab/apputils-extension"
    own = home / "ext" / name / "schemas" / name / "themes.json"
    write(own, {"title": "Mine", "properties": {}})
    site = serve()
    assert site.request("GET", URL).json()["schema"]["title"] == "Mine"
    titles = {
        each["id"]: each["schema"].get("title") for each in site.request("GET", "/lab/api/settings").json()["settings"]
    }
    assert titles[THEMES] == "Mine"
    assert json.loads(own.read_text())["title"] == "Mine"


names = st.text(alphabet="ab./:\\\0@%", max_size=12)


@given(names, st.sampled_from(["GET", "PUT"]))
def test_no_name_leads_out_of_the_settings(tmp_path_factory: pytest.TempPathFactory, name: str, method: str) -> None:
    home = tmp_path_factory.getbasetemp() / "settings"
    write(home / "a.json", {"secret": 1})
    write(home / "schemas" / "a.json", {"secret": 1})
    settings = PluginSettings("", str(home / "schemas" / "app"), str(home / "user"), [], Translations())
    with pytest.raises(NoSuchSettings):
        settings.get(name, "en") if method == "GET" else settings.save(name, "{}")


def test_a_settings_file_that_is_a_link_stays_one(tmp_path: Path) -> None:
    target = write(tmp_path / "dotfiles" / "x", "old")
    link = tmp_path / "x"
    link.symlink_to(target)
    target.chmod(0o640)
    replace(str(link), "new")
    assert link.is_symlink()
    assert target.read_text() == "new"
    assert target.stat().st_mode & 0o777 == 0o640


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "x", "old")
    monkeypatch.setattr("os.fsync", lambda fd: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space"):
        replace(str(path), "new")
    assert path.read_text() == "old"
    assert [each.name for each in tmp_path.iterdir()] == ["x"]
