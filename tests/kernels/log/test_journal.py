"""The journal on disk: what was written is read, what is damaged ends it, what was cut off is cut off."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock

from jupyterd.kernels.log import journal
from jupyterd.kernels.log.chunk import Chunk
from jupyterd.kernels.log.journal import (
    FILE,
    MAX_SPARE,
    SPARE,
    SPARE_TIMEOUT,
    STRIDE,
    WHOLE,
    Journal,
    Written,
    checksum,
    read,
    retire,
    write,
)
from jupyterd.kernels.log.spill import write_all
from jupyterd.testing.deferreds import at_once


def chunk(first: int, *contents: bytes) -> Chunk:
    made = Chunk(b"iopub", [[b"{}", b"{}", b"{}", content] for content in contents], 1.0)
    made.first = first
    return made


def contents_of(directory: Path) -> list[bytes]:
    return [bytes(parts[3]) for each in read(str(directory)).chunks for parts in each.messages]


BLOCKS = [[b"small", b"x" * 100], [b"y" * WHOLE, b"z"], [b"w" * (3 * WHOLE), b"last"]]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    begin(tmp_path / "j1.log")
    return tmp_path


def begin(path: Path, generation: int = 1, spare: str | None = None) -> Written:
    """A journal's file with three blocks."""
    file = Written(str(path), generation=generation)
    number = 0
    for block in BLOCKS:
        file = write(file, [chunk(number + 1, *block)], spare)
        number += len(block)
    return file


def test_what_was_written_is_read(directory: Path) -> None:
    assert contents_of(directory) == [content for block in BLOCKS for content in block]


@pytest.mark.parametrize("cut", [1, WHOLE, 3 * WHOLE + 60])
def test_a_block_that_a_kill_has_cut_off_ends_it_and_goes(directory: Path, cut: int) -> None:
    file = directory / "j1.log"
    file.write_bytes(file.read_bytes()[:-cut])
    kept = [content for block in BLOCKS[:2] for content in block]
    assert contents_of(directory) == kept
    (found,) = read(str(directory)).files
    assert (found.size, found.end) == (file.stat().st_size, 5)
    write(found, [chunk(5, b"further")])
    assert contents_of(directory) == [*kept, b"further"]


@pytest.mark.parametrize("written", [0, 1, 2])
def test_of_a_file_that_is_written_over_nothing_old_is_ever_read(
    directory: Path, monkeypatch: pytest.MonkeyPatch, written: int
) -> None:
    """Its blocks lie where the old ones lay, and the daemon is killed before a block has its head."""
    assert retire([str(directory / "j1.log")], [str(directory / "j1.log")]) == [str(directory / "spare1.log")]
    assert contents_of(directory) == []
    begin(directory / "j2.log", 2)
    (spare,) = retire([str(directory / "j2.log")], [str(directory / "j2.log")])
    file, number = Written(str(directory / "j3.log"), generation=3), 1
    for block in BLOCKS[:written]:
        file = write(file, [chunk(number, *block)], spare if number == 1 else None)
        number += len(block)

    def cut(fd: int, pieces: list[bytes]) -> None:
        write_all(fd, pieces)
        raise KeyboardInterrupt

    monkeypatch.setattr(journal, "write_all", cut)
    with pytest.raises(KeyboardInterrupt):
        write(file, [chunk(number, *BLOCKS[written])], spare if number == 1 else None)
    assert (directory / "j3.log").exists()
    assert contents_of(directory) == [content for block in BLOCKS[:written] for content in block]


def test_spare_files_of_a_former_daemon_go(directory: Path) -> None:
    retire([str(directory / "j1.log")], [str(directory / "j1.log")])
    read(str(directory))
    assert list(directory.iterdir()) == []


def test_pages_that_were_never_written_are_seen_in_large_blocks_too(directory: Path) -> None:
    file = directory / "j1.log"
    data = bytearray(file.read_bytes())
    at = len(data) - 2 * WHOLE
    data[at : at + 4096] = bytes(4096)
    file.write_bytes(data)
    assert contents_of(directory) == [content for block in BLOCKS[:2] for content in block]


@given(st.lists(st.integers(0, 5 * STRIDE), max_size=8), st.booleans())
def test_a_sum_is_that_of_the_bytes_however_they_are_cut(sizes: list[int], large: bool) -> None:
    pieces = [bytes((at + size) % 251 for at in range(size)) for size in sizes]
    size = WHOLE + 1 if large else sum(sizes)
    assert checksum(pieces, size) == checksum([b"".join(pieces)], size)


class Kit:
    """A journal of a store that needs the last message alone."""

    def __init__(self, directory: Path) -> None:
        self.directory, self.clock, self.next = directory, Clock(), 1
        self.journal = Journal(str(directory), at_once, self.clock, kept=lambda: self.next - 1)

    def say(self, size: int) -> None:
        self.journal.add(chunk(self.next, b"m" * size))
        self.next += 1
        self.clock.advance(0.3)

    def names(self) -> list[str]:
        return sorted(path.name for path in self.directory.iterdir())


def test_files_that_are_not_needed_are_written_over_and_go_in_the_end(tmp_path: Path) -> None:
    kit = Kit(tmp_path)
    inodes = set()
    for _ in range(12):
        kit.say(FILE)
        inodes |= {path.stat().st_ino for path in tmp_path.iterdir()}
    assert len(inodes) <= SPARE + 2
    assert sum(name.startswith("spare") for name in kit.names()) <= SPARE
    assert contents_of(tmp_path)[-1] == b"m" * FILE
    kit.clock.advance(SPARE_TIMEOUT)
    assert [name for name in kit.names() if name.startswith("spare")] == []


def test_a_very_large_file_is_not_kept(tmp_path: Path) -> None:
    kit = Kit(tmp_path)
    for _ in range(4):
        kit.say(MAX_SPARE + 1)
    assert [name for name in kit.names() if name.startswith("spare")] == []


def test_no_spare_file_is_left_behind(tmp_path: Path) -> None:
    kit = Kit(tmp_path)
    for _ in range(4):
        kit.say(FILE)
    assert [name for name in kit.names() if name.startswith("spare")]
    kit.journal.close()
    assert [name for name in kit.names() if name.startswith("spare")] == []
    assert kit.clock.getDelayedCalls() == []


@given(st.lists(st.lists(st.integers(0, 3000), min_size=1, max_size=4), min_size=1, max_size=6), st.data())
def test_whatever_lay_there_before_what_is_read_are_whole_blocks(blocks: list[list[int]], data: st.DataObject) -> None:
    """A file that was written over, cut off anywhere, is the begin of what was written."""
    with TemporaryDirectory() as name:
        directory = Path(name)
        for generation in (1, 2):
            file, number, written = Written(f"{name}/j{generation}.log", generation=generation), 1, []
            spare = f"{name}/spare1.log" if generation == 2 else None
            ends = [file.size]
            for sizes in blocks if generation == 1 else data.draw(st.permutations(blocks)):
                contents = [bytes([generation]) * size for size in sizes]
                file = write(file, [chunk(number, *contents)], spare)
                number, written = number + len(sizes), [*written, contents]
                ends.append(file.size)
            if generation == 1:
                retire([file.path], [file.path])
        assert contents_of(directory) == [content for contents in written for content in contents]
        cut = data.draw(st.integers(0, ends[-1]))
        os.truncate(file.path, cut)
        whole = sum(end <= cut for end in ends[1:])
        assert contents_of(directory) == [content for contents in written[:whole] for content in contents]
