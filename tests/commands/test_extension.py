"""``jupyterd extension``: files that are written, and what is said of them and of a running server."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from jupyterd.commands import extension
from jupyterd.commands.client import CommandError
from jupyterd.commands.extension import FOLDER, ExtensionCommand, account, listing, parser, switch


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """The three levels' directories, the user's before the environment's before the system's."""
    found = {level: tmp_path / level for level in ("user", "sys-prefix", "system")}
    monkeypatch.setattr(extension, "jupyter_config_dir", lambda: str(found["user"]))
    monkeypatch.setattr(extension, "ENV_CONFIG_PATH", [str(found["sys-prefix"])])
    monkeypatch.setattr(extension, "SYSTEM_CONFIG_PATH", [str(found["system"])])
    monkeypatch.setattr(extension, "jupyter_config_path", lambda: list(map(str, found.values())))
    return found


def does(*words: str) -> str:
    said = io.StringIO()
    assert ExtensionCommand().act(parser().parse_args(words), said) == 0
    return said.getvalue()


def extensions_in(path: Path) -> dict[str, bool]:
    found: dict[str, bool] = json.loads(path.read_text())["ServerApp"]["jpserver_extensions"]
    return found


@pytest.mark.parametrize(
    ("option", "level"), [([], "sys-prefix"), (["--user"], "user"), (["--system"], "system"), (["--py"], "sys-prefix")]
)
def test_each_level_has_its_file(option: list[str], level: str, places: dict[str, Path]) -> None:
    does("enable", "json", *option)
    assert extensions_in(places[level] / FOLDER / "json.json") == {"json": True}
    assert [place for place in places.values() if place.exists()] == [places[level]]


def test_the_file_that_names_it_already_is_the_one_that_is_changed(places: dict[str, Path]) -> None:
    file = places["sys-prefix"] / FOLDER / "package.json"
    file.parent.mkdir(parents=True)
    file.write_text(
        json.dumps({"ServerApp": {"jpserver_extensions": {"json": True, "other": True}}, "Other": {"a": 1}})
    )
    assert str(file) in does("disable", "json")
    assert json.loads(file.read_text()) == {
        "ServerApp": {"jpserver_extensions": {"json": False, "other": True}}, "Other": {"a": 1},
    }  # fmt: skip
    assert list(file.parent.iterdir()) == [file]


def test_who_is_overruled_is_told(places: dict[str, Path]) -> None:
    does("disable", "json", "--user")
    assert f"{places['user'] / FOLDER / 'json.json'} overrules it: there it is disabled" in does("enable", "json")
    lines = list(listing())
    assert lines == [
        f"Config dir: {places['user']}", "    json disabled (json.json)",
        f"Config dir: {places['sys-prefix']}", "    json enabled, overruled above (json.json)",
    ]  # fmt: skip


def test_a_list_says_what_becomes_of_each(places: dict[str, Path]) -> None:
    (places["system"]).mkdir()
    named = {"json": True, "not_there": True, "jupyterlab": True, "jupytext": True, "a": False}
    (places["system"] / "jupyter_server_config.json").write_text(
        json.dumps({"ServerApp": {"jpserver_extensions": named}})
    )
    assert [line.split(" (")[0].strip() for line in listing()][1:] == [
        "a disabled", "json enabled, runs in the extension host", "jupyterlab enabled, served by jupyterd itself",
        "jupytext enabled, served by jupyterd itself", "not_there enabled, not installed",
    ]  # fmt: skip


def test_without_any() -> None:
    assert does("list") == "no server extension is enabled or disabled\n"


def test_what_is_not_installed_can_be_disabled_alone() -> None:
    with pytest.raises(CommandError, match="could not be found"):
        list(switch("not_there", True, "user"))
    assert "not_there is disabled" in next(switch("not_there", False, "user"))


@pytest.mark.parametrize("text", ["[1]", "{", '{"ServerApp": 1}', '{"ServerApp": {"jpserver_extensions": [1]}}'])
def test_a_file_that_is_none_names_nothing_and_is_left(text: str, places: dict[str, Path]) -> None:
    file = places["user"] / FOLDER / "json.json"
    file.parent.mkdir(parents=True)
    file.write_text(text)
    assert does("list") == "no server extension is enabled or disabled\n"
    with pytest.raises(CommandError, match="is left as it is"):
        list(switch("json", True, "user"))
    assert file.read_text() == text


def test_a_directory_that_can_not_be_written_is_one_line(places: dict[str, Path]) -> None:
    places["user"].write_text("a file")
    with pytest.raises(CommandError, match="user"):
        list(switch("json", True, "user"))


def test_how_those_of_a_server_are() -> None:
    one = {
        "name": "one",
        "version": "1.2",
        "how": "host",
        "seconds": 0.25,
        "memory": 2_000_000,
        "routes": 3,
        "error": "",
    }
    two = {**one, "name": "two", "version": "", "error": "it could not be loaded"}
    host = {"state": "ready", "pid": 7, "memory": 81_000_000, "history": [{"time": 1, "what": "two blocked it"}]}
    lines = list(account({"host": host, "extensions": [one, two]}))
    assert lines[0] == "extension host: ready, pid 7, 81 MB"
    assert [line.split() for line in lines[2:4]] == [
        ["one", "1.2", "host", "0.2", "s", "2", "MB", "3"],
        ["two", "-", "host", "0.2", "s", "2", "MB", "3", "it", "could", "not", "be", "loaded"],
    ]
    assert lines[-1] == "  two blocked it"
    assert next(account({"host": None, "extensions": []})) == "no extension host"
