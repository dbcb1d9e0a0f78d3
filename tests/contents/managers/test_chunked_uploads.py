"""Pieces of a file: in order, or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock

from jupyterd.contents.managers.chunked_uploads import LAST, OutOfOrder, TwoUploads, Uploads
from jupyterd.contents.upload_expiry import UploadExpiry
from jupyterd.testing.deferreds import at_once


class Hours:
    """A clock."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@settings(deadline=None)
@given(
    st.lists(st.binary(max_size=50), min_size=2, max_size=6),
    st.lists(st.tuples(st.sampled_from(["again", "ahead", "next"]), st.integers(2, 5)), max_size=12),
)
def test_any_repetition_and_any_order(pieces: list[bytes], moves: list[tuple[str, int]]) -> None:
    """A piece that is repeated counts once, one that is ahead is refused; neither changes what the file becomes."""
    with tempfile.TemporaryDirectory() as directory:
        target = Path(directory, "f")
        target.write_bytes(b"old")
        uploads, at = Uploads(60.0), 1
        uploads.add(str(target), 1, pieces[0])
        for move, ahead in moves:
            if move == "again":
                uploads.add(str(target), at, pieces[at - 1])
            elif move == "ahead":
                with pytest.raises(OutOfOrder):
                    uploads.add(str(target), at + ahead, b"x")
            elif at < len(pieces) - 1:
                at += 1
                uploads.add(str(target), at, pieces[at - 1])
            assert target.read_bytes() == b"old"
        while at < len(pieces) - 1:
            at += 1
            uploads.add(str(target), at, pieces[at - 1])
        uploads.add(str(target), LAST, pieces[-1])
        assert target.read_bytes() == b"".join(pieces)
        assert len(uploads) == 0
        assert os.listdir(directory) == ["f"]


def test_two_uploads_to_one_path_do_not_mix(tmp_path: Path) -> None:
    uploads, path = Uploads(60.0), str(tmp_path / "f")
    uploads.add(path, 1, b"mine")
    uploads.add(path, 1, b"theirs")
    uploads.add(path, 2, b"mine")
    with pytest.raises(TwoUploads):
        uploads.add(path, 2, b"theirs")
    with pytest.raises(OutOfOrder):
        uploads.add(path, LAST, b"mine")
    assert os.listdir(tmp_path) == []


def test_a_repeated_piece_counts_once(tmp_path: Path) -> None:
    uploads = Uploads(60.0)
    uploads.add(str(tmp_path / "f"), 1, b"abc")
    uploads.add(str(tmp_path / "f"), 2, b"def")
    uploads.add(str(tmp_path / "f"), 2, b"def")
    status = uploads.add(str(tmp_path / "f"), LAST, b"g")
    assert (tmp_path / "f").read_bytes() == b"abcdefg"
    assert status.st_size == 7


def test_the_abandoned_are_dropped(tmp_path: Path) -> None:
    clock = Hours()
    uploads = Uploads(3600.0, clock)
    uploads.add(str(tmp_path / "a"), 1, b"abc")
    clock.now = 3000.0
    uploads.add(str(tmp_path / "b"), 1, b"abc")
    clock.now = 4000.0
    uploads.expire()
    assert len(uploads) == 1
    with pytest.raises(OutOfOrder):
        uploads.add(str(tmp_path / "a"), 2, b"def")
    uploads.close()
    assert os.listdir(tmp_path) == []


def test_the_abandoned_are_dropped_though_nothing_else_happens(tmp_path: Path) -> None:
    hours, clock = Hours(), Clock()
    uploads = Uploads(3600.0, hours)
    expiry = UploadExpiry(clock, at_once, uploads)
    expiry.watch()
    assert clock.getDelayedCalls() == []
    uploads.add(str(tmp_path / "a"), 1, b"abc")
    expiry.watch()
    for _ in range(2):
        hours.now += 1800.0
        clock.advance(1800.0)
    assert len(uploads) == 1
    hours.now += 1800.0
    clock.advance(1800.0)
    assert (os.listdir(tmp_path), clock.getDelayedCalls()) == ([], [])
    uploads.add(str(tmp_path / "b"), 1, b"abc")
    expiry.watch()
    expiry.stop()
    assert (os.listdir(tmp_path), clock.getDelayedCalls()) == ([], [])


def test_the_service_looks_after_them(client: Any) -> None:
    client.put("f.txt", chunk(1, "ab"))
    client.contents.manager.uploads.timeout = -1.0
    client.reactor.advance(1800.0)
    assert os.listdir(client.root) == []


def chunk(number: int, text: str) -> dict[str, Any]:
    return {"type": "file", "format": "text", "content": text, "chunk": number}


def test_over_http(client: Any) -> None:
    assert client.put("f.txt", chunk(1, "ab")).status == 201
    assert not (client.root / "f.txt").exists()
    assert client.put("f.txt", chunk(2, "cd")).status == 200
    answer = client.put("f.txt", chunk(-1, "ef"))
    assert (answer.status, answer.json()["size"]) == (200, 6)
    assert (client.root / "f.txt").read_text() == "abcdef"


@pytest.mark.parametrize("number", [0, -2, "1", 1.5, True, 3])
def test_numbers_that_are_none(client: Any, number: Any) -> None:
    assert client.put("f.txt", chunk(number, "x")).status == 400


def test_an_upload_does_not_outlive_the_service(client: Any) -> None:
    client.put("f.txt", chunk(1, "ab"))
    assert len(os.listdir(client.root)) == 1
    client.contents.stopService()
    assert os.listdir(client.root) == []
