"""The directory of a server's state: one for each daemon, found again by the next."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from jupyterd.state.directory import StateDirectory, about, all_of, identity


def directory(place: Path, where: str = "8888", port: int = 8888, root: str = "/root") -> StateDirectory:
    return StateDirectory(str(place), root, where, lambda: port)


def test_it_is_found_again(tmp_path: Path) -> None:
    first = directory(tmp_path)
    path = first.path
    assert os.stat(path).st_mode & 0o777 == 0o700
    assert about(path) == {"root_dir": "/root", "where": "8888", "port": 8888, "pid": os.getpid()}
    first.release()
    assert directory(tmp_path).path == path


def test_two_at_a_time_have_one_each(tmp_path: Path) -> None:
    first, second = directory(tmp_path), directory(tmp_path, port=8889)
    assert first.path != second.path
    paths = first.path, second.path
    first.release()
    second.release()
    again = directory(tmp_path, port=8889)
    assert again.path == paths[1], "that of the daemon on the same port"
    assert directory(tmp_path, port=8890).path == paths[0], "else one whose daemon is gone"


def test_another_server_has_another(tmp_path: Path) -> None:
    servers = [("/root", "8888"), ("/root", "8889"), ("/other", "8888"), ("/root", "/sock")]
    names = {identity(*server) for server in servers}
    assert len(names) == 4
    one, two = directory(tmp_path), directory(tmp_path, root="/other")
    assert one.path != two.path
    assert {path for path, _ in all_of(str(tmp_path))} == {one.path, two.path}


def test_nothing_is_made_by_looking(tmp_path: Path) -> None:
    looking = directory(tmp_path)
    assert not looking.exists()
    assert list(tmp_path.iterdir()) == []
    _ = looking.path
    assert directory(tmp_path).exists()


def test_it_goes_with_all_that_is_in_it(tmp_path: Path) -> None:
    state = directory(tmp_path)
    Path(state.join("file")).write_text("x")
    state.remove()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["", "[]", "{", "null"])
def test_what_it_says_of_itself_may_be_damaged(tmp_path: Path, text: str) -> None:
    state = directory(tmp_path)
    Path(state.join("server.json")).write_text(text)
    assert about(state.path) == {}
    state.release()
    assert directory(tmp_path).path.endswith(identity("/root", "8888"))


def test_a_full_disk_leaves_nothing_and_the_next_try_has_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = directory(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("json.dump", full)
        with pytest.raises(OSError, match="No space"):
            _ = state.path
        assert list(tmp_path.iterdir()) == []
        (tmp_path / identity("/root", "8888")).mkdir()
        (tmp_path / identity("/root", "8888") / "state.db").touch()
        with pytest.raises(OSError, match="No space"):
            _ = state.path
    assert {path.name for path in Path(state.path).iterdir()} == {"state.db", "server.json"}


def full(value: object, file: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
