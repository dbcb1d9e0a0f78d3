"""The journal on disk: what was written is read, what is damaged ends it, what was cut off is cut off."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyterd.kernels.log.chunk import Chunk
from jupyterd.kernels.log.journal import STRIDE, WHOLE, checksum, read, write


def chunk(first: int, *contents: bytes) -> Chunk:
    made = Chunk(b"iopub", [[b"{}", b"{}", b"{}", content] for content in contents], 1.0)
    made.first = first
    return made


def contents_of(directory: Path) -> list[bytes]:
    return [bytes(parts[3]) for each in read(str(directory)).chunks for parts in each.messages]


BLOCKS = [[b"small", b"x" * 100], [b"y" * WHOLE, b"z"], [b"w" * (3 * WHOLE), b"last"]]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    size = number = 0
    for block in BLOCKS:
        size = write(str(tmp_path / "j1.log"), size, [chunk(number + 1, *block)])
        number += len(block)
    return tmp_path


def test_what_was_written_is_read(directory: Path) -> None:
    assert contents_of(directory) == [content for block in BLOCKS for content in block]


@pytest.mark.parametrize("cut", [1, WHOLE, 3 * WHOLE + 60])
def test_a_block_that_a_kill_has_cut_off_ends_it_and_goes(directory: Path, cut: int) -> None:
    file = directory / "j1.log"
    file.write_bytes(file.read_bytes()[:-cut])
    kept = [content for block in BLOCKS[:2] for content in block]
    assert contents_of(directory) == kept
    size = read(str(directory)).files[0][2]
    assert size == file.stat().st_size
    write(str(file), size, [chunk(5, b"further")])
    assert contents_of(directory) == [*kept, b"further"]


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
