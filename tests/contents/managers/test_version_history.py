"""The last saved versions of a notebook: kept, bounded, listed, restored; old clients see one checkpoint."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jupyterd.contents.managers import version_history
from jupyterd.contents.managers.version_history import Versions, is_version


@pytest.fixture
def save(client: Any, notebook: Callable[..., Any]) -> Callable[[str], None]:
    def save(source: str) -> None:
        answer = client.put("a.ipynb", {"type": "notebook", "content": notebook(source)})
        assert answer.status in (200, 201), answer.body

    return save


def source_of(client: Any) -> str:
    return str(client.get("a.ipynb")["content"]["cells"][0]["source"])


def test_listed_only_when_asked_for(client: Any, save: Callable[[str], None]) -> None:
    for source in ("one", "two", "three"):
        save(source)
    assert [one["id"] for one in client.get("a.ipynb/checkpoints")] == ["checkpoint"]
    found = client.get("a.ipynb/checkpoints?versions=1")
    assert [is_version(one["id"]) for one in found] == [False, True, True]
    assert all(one["last_modified"].endswith("Z") for one in found)


def test_what_they_take_is_known(
    client: Any, save: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(version_history, "_sizes", {})
    for source in ("one", "two", "three"):
        save(source)
    kept = [path.stat().st_size for path in tmp_path.rglob(".ipynb_checkpoints/versions/*.ipynb")]
    assert len(kept) == 2
    assert version_history.kept_bytes() == sum(kept)


def test_restored_and_what_that_replaces_is_kept(client: Any, save: Callable[[str], None]) -> None:
    for source in ("one", "two", "three"):
        save(source)
    first = client.get("a.ipynb/checkpoints?versions=1")[1]["id"]
    assert client.ask("POST", f"/api/contents/a.ipynb/checkpoints/{first}").status == 204
    assert source_of(client) == "one"
    last = client.get("a.ipynb/checkpoints?versions=1")[-1]["id"]
    client.ask("POST", f"/api/contents/a.ipynb/checkpoints/{last}")
    assert source_of(client) in ("two", "three")
    assert client.ask("DELETE", f"/api/contents/a.ipynb/checkpoints/{first}").status == 204
    assert client.ask("DELETE", f"/api/contents/a.ipynb/checkpoints/{first}").status == 404


def test_they_go_where_the_notebook_goes(client: Any, save: Callable[[str], None]) -> None:
    save("one")
    save("two")
    assert client.ask("PATCH", "/api/contents/a.ipynb", {"path": "b.ipynb"}).status == 200
    assert len(client.get("b.ipynb/checkpoints?versions=1")) == 2
    assert client.get("a.ipynb/checkpoints?versions=1") == []
    assert client.ask("DELETE", "/api/contents/b.ipynb").status == 204
    assert os.listdir(client.root / ".ipynb_checkpoints/versions") == []


def write(path: Path, text: str, at: float) -> None:
    path.unlink(missing_ok=True)
    path.write_text(text)
    os.utime(path, (at, at))


def test_no_more_than_so_many(tmp_path: Path) -> None:
    versions, path = Versions(str(tmp_path / "v"), 3, 1 << 20), tmp_path / "a.ipynb"
    for number in range(6):
        write(path, f"text {number}", 1_700_000_000 + number)
        versions.keep(str(path))
    assert [Path(v.os_path).read_text() for v in versions.list("a.ipynb")] == ["text 3", "text 4", "text 5"]


def test_no_more_than_so_many_bytes(tmp_path: Path) -> None:
    versions, path = Versions(str(tmp_path / "v"), 100, 100), tmp_path / "a.ipynb"
    for number in range(6):
        write(path, "x" * 40, 1_700_000_000 + number)
        versions.keep(str(path))
    assert len(versions.list("a.ipynb")) == 2
    write(path, "x" * 101, 1_700_000_100)
    versions.keep(str(path))
    assert len(versions.list("a.ipynb")) == 2


def test_they_take_no_room_of_their_own(tmp_path: Path) -> None:
    versions, path = Versions(str(tmp_path / "v"), 3, 1 << 20), tmp_path / "a.ipynb"
    write(path, "text", 1_700_000_000)
    versions.keep(str(path))
    assert versions.list("a.ipynb")[0].status.st_ino == path.stat().st_ino


def test_of_a_file_that_is_overwritten_in_place_a_copy_is_kept(tmp_path: Path) -> None:
    versions, path = Versions(str(tmp_path / "v"), 3, 1 << 20), tmp_path / "a.ipynb"
    write(path, "text", 1_700_000_000)
    versions.keep(str(path))
    versions.keep(str(path), in_place=True)
    assert path.stat().st_nlink == 1
    path.write_text("later")
    assert Path(versions.list("a.ipynb")[0].os_path).read_text() == "text"


def test_what_did_not_last_is_not_kept(tmp_path: Path) -> None:
    versions, path = Versions(str(tmp_path / "v"), 9, 1 << 20, interval=10.0), tmp_path / "a.ipynb"
    for second in (0, 1, 2, 11, 12, 30):
        write(path, f"at {second}", 1_700_000_000 + second)
        versions.keep(str(path))
    assert [Path(v.os_path).read_text() for v in versions.list("a.ipynb")] == ["at 0", "at 11", "at 30"]


def test_similar_names_are_not_mixed_up(tmp_path: Path) -> None:
    versions = Versions(str(tmp_path / "v"), 9, 1 << 20)
    for name in ("a.ipynb", "a-b.ipynb", "a"):
        write(tmp_path / name, name, 1_700_000_000)
        versions.keep(str(tmp_path / name))
    for name in ("a.ipynb", "a-b.ipynb", "a"):
        assert [Path(v.os_path).read_text() for v in versions.list(name)] == [name]


def test_off(tmp_path: Path) -> None:
    write(tmp_path / "a.ipynb", "x", 1_700_000_000)
    Versions(str(tmp_path / "v"), 0, 1 << 20).keep(str(tmp_path / "a.ipynb"))
    assert not (tmp_path / "v").exists()
