"""Old or new, never half; and what the old file was besides its content is kept."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from jupyterd.contents.files import atomic, recovery
from jupyterd.errors import Invalid


def leftovers(directory: Path) -> list[str]:
    return [name for name in os.listdir(directory) if name.startswith(".~")]


@pytest.fixture
def target(tmp_path: Path) -> Path:
    path = tmp_path / "a.ipynb"
    path.write_bytes(b"old")
    return path


def test_new_content_in_a_new_inode(target: Path) -> None:
    inode = target.stat().st_ino
    status = atomic.write(str(target), b"new")
    assert target.read_bytes() == b"new"
    assert status.st_ino == target.stat().st_ino != inode
    assert leftovers(target.parent) == []


def test_a_new_file_has_the_umasks_mode(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        atomic.write(str(tmp_path / "new"), b"x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640


def test_mode_is_kept(target: Path) -> None:
    target.chmod(0o604)
    atomic.write(str(target), b"new")
    assert stat.S_IMODE(target.stat().st_mode) == 0o604


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_owner_is_kept(target: Path) -> None:
    os.chown(target, 12345, 23456)
    atomic.write(str(target), b"new")
    assert (target.stat().st_uid, target.stat().st_gid) == (12345, 23456)


def test_extended_attributes_are_kept(target: Path) -> None:
    try:
        os.setxattr(target, "user.color", b"red")
    except OSError:
        pytest.skip("this filesystem has none")
    atomic.write(str(target), b"new")
    assert os.getxattr(target, "user.color") == b"red"


def test_a_link_stays_and_its_target_changes(target: Path) -> None:
    link = target.parent / "link"
    link.symlink_to(target.name)
    atomic.write(str(link), b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"


def test_a_broken_link_makes_its_target(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("made")
    atomic.write(str(tmp_path / "link"), b"new")
    assert (tmp_path / "made").read_bytes() == b"new"


def test_hard_links_stay_one_file(target: Path) -> None:
    other = target.parent / "other"
    other.hardlink_to(target)
    atomic.write(str(target), b"new and longer")
    atomic.write(str(other), b"short")
    assert target.read_bytes() == other.read_bytes() == b"short"
    assert target.stat().st_nlink == 2
    assert leftovers(target.parent) == []


def test_a_file_that_can_not_be_renamed_over_is_overwritten(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a single file mounted into a container."""
    inode, rename = target.stat().st_ino, os.rename

    def busy(source: str, to: str) -> None:
        if to == str(target):
            raise OSError(errno.EBUSY, "Device or resource busy")
        rename(source, to)

    monkeypatch.setattr(os, "rename", busy)
    atomic.write(str(target), b"new")
    assert target.read_bytes() == b"new"
    assert target.stat().st_ino == inode
    assert leftovers(target.parent) == []


def test_in_an_unwritable_directory_the_file_is_overwritten(
    target: Path, deny_writing_in: Callable[[Path], None]
) -> None:
    inode = target.stat().st_ino
    deny_writing_in(target.parent)
    atomic.write(str(target), b"new")
    assert target.read_bytes() == b"new"
    assert target.stat().st_ino == inode
    assert os.listdir(target.parent) == [target.name]


@pytest.mark.parametrize("case", ["plain", "long name", "name taken"])
def test_what_was_interrupted_in_place_can_be_brought_back(
    target: Path, monkeypatch: pytest.MonkeyPatch, data_dir: Path, case: str
) -> None:
    if case == "long name":
        target = target.rename(target.with_name("n" * 249 + ".ipynb"))
    if case == "name taken":
        (target.parent / ".~a.ipynb").mkdir()
    other = target.parent / "other"
    other.hardlink_to(target)

    def dies(fd: int, size: int) -> None:
        target.write_bytes(b"ha")
        raise KeyboardInterrupt

    monkeypatch.setattr(atomic, "_reserve", dies)
    with pytest.raises(KeyboardInterrupt):
        atomic.write(str(target), b"whole new content")
    assert recovery.recover(str(target))
    assert target.read_bytes() == b"whole new content"
    invalid = [*target.parent.glob("*.invalid"), *data_dir.rglob("*.invalid")]
    assert [path.read_bytes() for path in invalid] == [b"ha"]
    assert case != "plain" or invalid[0].name == "a.ipynb.invalid"
    assert not recovery.recover(str(target))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
@pytest.mark.parametrize("call", ["fsync", "rename"])
def test_what_fails_leaves_the_old_file(target: Path, monkeypatch: pytest.MonkeyPatch, number: int, call: str) -> None:
    def fails(*args: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, call, fails)
    with pytest.raises(OSError) as caught:
        atomic.write(str(target), b"new")
    monkeypatch.undo()
    assert caught.value.errno == number
    assert target.read_bytes() == b"old"
    assert leftovers(target.parent) == []


def test_pieces_that_fail_leave_the_old_file(target: Path) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"new"
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        atomic.write_all(str(target), pieces())
    assert target.read_bytes() == b"old"
    assert leftovers(target.parent) == []


def test_special_files_are_never_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "fifo", tmp_path):
        with pytest.raises((Invalid, IsADirectoryError)):
            atomic.write(str(path), b"x")


def test_a_file_that_may_not_be_written_is_refused(target: Path, deny_writing_in: Callable[[Path], None]) -> None:
    deny_writing_in(target)
    with pytest.raises(PermissionError):
        atomic.write(str(target), b"new")
    assert target.read_bytes() == b"old"


def test_long_names_have_room_for_the_temporary_one(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 255)
    atomic.write(str(path), b"1")
    atomic.write(str(path), b"2")
    assert path.read_bytes() == b"2"


def test_the_old_file_is_shown_before_it_goes(target: Path) -> None:
    seen: list[tuple[bytes, bool]] = []

    def keep(os_path: str, in_place: bool) -> None:
        seen.append((Path(os_path).read_bytes(), in_place))

    atomic.write(str(target), b"new", keep_old=keep)
    (target.parent / "other").hardlink_to(target)
    atomic.write(str(target), b"newer", keep_old=keep)
    assert seen == [(b"old", False), (b"new", True)]


def test_without_precaution_if_the_operator_wants_it(target: Path) -> None:
    inode = target.stat().st_ino
    status = atomic.write(str(target), b"new", atomic=False)
    assert (target.read_bytes(), target.stat().st_ino, status.st_size) == (b"new", inode, 3)


def test_replacement_can_go_back(tmp_path: Path) -> None:
    replacement = atomic.Replacement(str(tmp_path / "f"))
    replacement.write(b"abc")
    replacement.write(b"xyz")
    replacement.rewind(3)
    replacement.write(b"def")
    replacement.commit()
    assert (tmp_path / "f").read_bytes() == b"abcdef"


def test_aborted_twice(tmp_path: Path) -> None:
    replacement = atomic.Replacement(str(tmp_path / "f"))
    replacement.write(b"abc")
    replacement.abort()
    replacement.abort()
    assert os.listdir(tmp_path) == []
