"""A daemon's private directories: made, locked, swept after a kill."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest

from jupyterd.kernels.process.transport import SOCKET_PATH_LIMIT, socket_address, takes_ipc
from jupyterd.system.daemon_directory import DaemonDirectory, sweep

KERNEL = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"


def old(path: Path) -> Path:
    hour_ago = time.time() - 3600
    os.utime(path, (hour_ago, hour_ago))
    return path


def test_it_is_made_when_used_for_its_owner_alone_and_removed(tmp_path: Path) -> None:
    directory = DaemonDirectory("x-", [str(tmp_path)])
    assert list(tmp_path.iterdir()) == []
    path = Path(directory.join("file"))
    assert path.parent.parent == tmp_path
    assert path.parent.stat().st_mode & 0o777 == 0o700
    path.write_text("")
    assert directory.join("other") == str(path.parent / "other")
    directory.close()
    assert list(tmp_path.iterdir()) == []
    directory.close()


def test_the_next_place_is_taken_where_the_first_can_not_be(tmp_path: Path) -> None:
    directory = DaemonDirectory("x-", ["/no/such/place", str(tmp_path)])
    assert directory.join("f").startswith(str(tmp_path))
    directory.close()
    with pytest.raises(OSError, match="No such file"):
        DaemonDirectory("x-", ["/no/such/place"]).join("f")


def test_what_a_killed_daemon_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    living = DaemonDirectory("x-", [str(tmp_path)])
    kept = old(Path(living.join("f")).parent)
    (tmp_path / "x-left").mkdir()
    (tmp_path / "x-left" / "file").write_text("")
    old(tmp_path / "x-left")
    (tmp_path / "x-just-left").mkdir()
    fresh = tmp_path / ".x-being-made"
    fresh.mkdir()
    old_one = tmp_path / ".x-never-made"
    old_one.mkdir()
    old(old_one)
    other = tmp_path / "other"
    other.mkdir()
    old(other)
    (tmp_path / "x-link").symlink_to(other)
    sweep(str(tmp_path), "x-")
    assert sorted(tmp_path.iterdir()) == sorted([kept, fresh, other, tmp_path / "x-link"])
    living.close()


def test_files_elsewhere_go_too_when_they_were_noted(tmp_path: Path) -> None:
    killed = DaemonDirectory("x-", [str(tmp_path)])
    for name in ("noted", "struck", "gone"):
        (tmp_path / name).write_text("")
        killed.note(str(tmp_path / name))
    killed.strike(str(tmp_path / "struck"))
    killed.strike(str(tmp_path / "never"))
    (tmp_path / "gone").unlink()
    os.close(killed._fd)
    old(Path(killed.join("f")).parent)
    sweep(str(tmp_path), "x-")
    assert list(tmp_path.iterdir()) == [tmp_path / "struck"]


def test_notes_alone(tmp_path: Path) -> None:
    """What may be much stays for later."""
    killed = DaemonDirectory("x-", [str(tmp_path)])
    (tmp_path / "noted").write_text("")
    killed.note(str(tmp_path / "noted"))
    log = Path(killed.join("log"))
    log.write_text("")
    living = DaemonDirectory("x-", ["/no/such/place", str(tmp_path)])
    living.sweep(notes_alone=True)
    assert (tmp_path / "noted").exists()
    os.close(killed._fd)
    living.sweep(notes_alone=True)
    assert list(tmp_path.iterdir()) == [log.parent]
    assert list(log.parent.iterdir()) == [log]
    living.sweep()
    assert list(tmp_path.iterdir()) == []


def test_one_that_was_removed_is_made_again_where_it_was(tmp_path: Path) -> None:
    place = tmp_path / "run"
    place.mkdir()
    directory = DaemonDirectory("x-", [str(place)])
    before = directory.join("f")
    (tmp_path / "noted").write_text("")
    directory.note(str(tmp_path / "noted"))
    shutil.rmtree(place)
    assert directory.join("f") == before
    assert os.readlink(os.path.join(os.path.dirname(before), "noted-noted")) == str(tmp_path / "noted")
    sweep(str(place), "x-")
    assert os.path.isdir(os.path.dirname(before))  # it is locked again
    shutil.rmtree(place)
    os.makedirs(os.path.dirname(before))  # somebody else was faster
    assert directory.join("f") == before
    sweep(str(place), "x-")
    assert os.path.isdir(os.path.dirname(before))
    directory.close()
    assert list(place.iterdir()) == []


def test_one_that_was_removed_with_its_place_is_made_elsewhere(tmp_path: Path) -> None:
    place, other = tmp_path / "run", tmp_path / "tmp"
    place.mkdir()
    other.mkdir()
    directory = DaemonDirectory("x-", [str(place), str(other)])
    assert directory.join("f").startswith(str(place))
    shutil.rmtree(place)
    place.write_text("")
    assert directory.join("f").startswith(str(other))
    directory.close()


def test_sockets_paths_fit_or_there_is_none(tmp_path: Path) -> None:
    directory = DaemonDirectory("x-", [str(tmp_path)])
    address = socket_address(directory, KERNEL)
    too_long = len(str(tmp_path)) > SOCKET_PATH_LIMIT - 50
    assert (address is None) == too_long
    directory.close()
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    directory = DaemonDirectory("x-", [str(deep)])
    assert socket_address(directory, KERNEL) is None
    directory.close()


@pytest.mark.parametrize(
    ("argv", "metadata", "taken"),
    [
        (["python", "-m", "ipykernel_launcher", "-f", "{connection_file}"], {}, True),
        (["python", "-Xfrozen_modules=off", "-m", "ipykernel_launcher", "-f", "x"], {}, True),
        (["R", "--slave", "-e", "IRkernel::main()"], {}, False),
        (["python", "-m", "something"], {}, False),
        (["docker", "run", "image"], {"supported_transports": ["ipc", "tcp"]}, True),
        (["python", "-m", "ipykernel_launcher"], {"supported_transports": ["tcp"]}, False),
        ([], {}, False),
    ],
)
def test_which_kernels_take_ipc(argv: list[str], metadata: dict[str, object], taken: bool) -> None:
    assert takes_ipc(argv, metadata) is taken
