"""``/api/config`` as clients see it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jupyterd.config.manager import ConfigManager
from jupyterd.config.resource import ConfigResource
from jupyterd.testing.deferreds import at_once
from jupyterd.testing.http import MemorySite
from jupyterd.web.root import Root


@pytest.fixture
def sections(tmp_path: Path) -> ConfigManager:
    return ConfigManager(
        read_config_path=[str(tmp_path / "user"), str(tmp_path / "system")], write_config_dir=str(tmp_path / "user")
    )


@pytest.fixture
def site(sections: ConfigManager) -> MemorySite:
    root = Root("/")
    resource = ConfigResource(sections, at_once).app.resource()
    root.mount("/api/config", lambda: resource, auth="config")
    return MemorySite(root)


def test_get_put_patch(site: MemorySite, tmp_path: Path) -> None:
    assert site.request("GET", "/api/config/notebook").json() == {}
    answer = site.request("PUT", "/api/config/notebook", json_body={"a": {"b": 1, "c": 2}})
    assert (answer.status, answer.body) == (204, b"")
    assert site.request("GET", "/api/config/notebook").json() == {"a": {"b": 1, "c": 2}}
    answer = site.request("PATCH", "/api/config/notebook", json_body={"a": {"b": None}, "d": True})
    assert (answer.status, answer.json()) == (200, {"a": {"c": 2}, "d": True})
    assert json.loads((tmp_path / "user" / "notebook.json").read_text()) == {"a": {"c": 2}, "d": True}


def test_the_user_s_own_wins_over_the_machine_s(site: MemorySite, tmp_path: Path) -> None:
    (tmp_path / "system").mkdir()
    (tmp_path / "system" / "tree.json").write_text('{"x": 1, "y": 1}')
    assert site.request("PATCH", "/api/config/tree", json_body={"y": 2}).json() == {"y": 2}
    assert site.request("GET", "/api/config/tree").json() == {"x": 1, "y": 2}


@pytest.mark.parametrize("name", ["a.b", "..", "a%2Fb", "%2e%2e", "a%20b", "-", "a/b", ""])
def test_names_that_are_none(site: MemorySite, name: str, tmp_path: Path) -> None:
    for method in ("GET", "PUT", "PATCH"):
        body = None if method == "GET" else {"a": 1}
        assert site.request(method, f"/api/config/{name}", json_body=body).status == 404
    assert not (tmp_path / "user").exists()


@pytest.mark.parametrize("name", ["x" * 201, "%C3%A4" * 101, "x" * 60_000])
def test_names_that_no_file_can_have(site: MemorySite, name: str) -> None:
    for method in ("GET", "PUT", "PATCH"):
        answer = site.request(method, f"/api/config/{name}", json_body=None if method == "GET" else {"a": 1})
        assert (answer.status, answer.json()["message"]) == (400, "A section's name has at most 200 bytes")


@pytest.mark.parametrize("body", [b"{", b"[]", b"3", b"", b'{"\xff": 1}', b'{"a":' * 600 + b"1" + b"}" * 600])
def test_bodies_that_are_none(site: MemorySite, body: bytes) -> None:
    for method in ("PUT", "PATCH"):
        answer = site.request(method, "/api/config/one", body=body)
        assert (answer.status, set(answer.json())) == (400, {"message", "reason"})


def test_other_methods(site: MemorySite) -> None:
    assert site.request("DELETE", "/api/config/one").status == 405


def test_directories_are_those_of_jupyter(jupyter_home: Path) -> None:
    made = ConfigManager()
    assert made.write_config_dir == str(jupyter_home / "config" / "serverconfig")
    assert made.write_config_dir in made.read_config_path
    made.set("one", {"a": 1})
    assert made.get("one") == {"a": 1}
    made.write_config_dir = str(jupyter_home / "other")
    made.set("two", {"a": 1})
    assert (jupyter_home / "other" / "two.json").exists()
