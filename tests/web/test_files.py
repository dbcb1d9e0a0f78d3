"""Files as responses: ranges, validators, types, and files that are not files."""

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyterd.testing.http import Answer, MemorySite
from jupyterd.web.api import Routes, json_api
from jupyterd.web.call import Call
from jupyterd.web.files import FileReply, content_type_of, parse_range
from jupyterd.web.root import Root


class Files:
    app = Routes()
    api = json_api(app)

    def __init__(self, top: Path) -> None:
        self.top = top

    @api(("GET", "HEAD"), "/files/<path:path>")
    async def get(self, call: Call, path: str) -> object:
        return FileReply(str(self.top / path))


def ask(top: Path, name: str, method: str = "GET", **headers: str) -> Answer:
    root = Root("/")
    resource = Files(top).app.resource()
    root.mount("/files", lambda: resource, auth="contents")
    sent = {k.replace("_", "-"): v for k, v in headers.items()}
    return MemorySite(root).request(method, f"/files/{name}", headers=sent)


@pytest.fixture
def top(tmp_path: Path) -> Path:
    (tmp_path / "a.txt").write_bytes(b"0123456789")
    (tmp_path / "empty.bin").write_bytes(b"")
    return tmp_path


def test_a_file_with_its_validators(top: Path) -> None:
    answer = ask(top, "a.txt")
    assert (answer.status, answer.body) == (200, b"0123456789")
    assert answer.header("content-type") == "text/plain; charset=UTF-8"
    assert answer.header("content-length") == "10"
    etag, modified = answer.header("etag"), answer.header("last-modified")
    assert etag
    assert modified
    assert ask(top, "a.txt", If_None_Match=etag).status == 304
    assert ask(top, "a.txt", If_None_Match=f'"x", W/{etag}').status == 304
    assert ask(top, "a.txt", If_None_Match='"x"').status == 200
    assert ask(top, "a.txt", If_Modified_Since=modified).status == 304
    assert ask(top, "a.txt", If_Modified_Since="nonsense").status == 200


@pytest.mark.parametrize(
    ("value", "status", "body"),
    [
        ("bytes=2-4", 206, b"234"),
        ("bytes=7-", 206, b"789"),
        ("bytes=-3", 206, b"789"),
        ("bytes=-30", 206, b"0123456789"),
        ("bytes=8-99", 206, b"89"),
        ("bytes=4-2", 200, b"0123456789"),
        ("bytes=0-1,3-4", 200, b"0123456789"),
        ("lines=1-2", 200, b"0123456789"),
        ("bytes=\u00b2-", 200, b"0123456789"),
    ],
)
def test_ranges(top: Path, value: str, status: int, body: bytes) -> None:
    answer = ask(top, "a.txt", Range=value)
    assert (answer.status, answer.body) == (status, body)


def test_a_range_outside_is_416(top: Path) -> None:
    answer = ask(top, "a.txt", Range="bytes=10-")
    assert (answer.status, answer.header("content-range")) == (416, "bytes */10")
    assert ask(top, "empty.bin", Range="bytes=0-1").status == 416


def test_if_range_of_another_version_sends_the_whole(top: Path) -> None:
    assert ask(top, "a.txt", Range="bytes=1-2", If_Range='"old"').status == 200


def test_head_and_empty(top: Path) -> None:
    answer = ask(top, "a.txt", "HEAD")
    assert (answer.status, answer.header("content-length"), answer.body) == (200, "10", b"")
    assert ask(top, "empty.bin").body == b""


def test_what_is_not_a_regular_file_is_never_opened(top: Path) -> None:
    os.mkfifo(top / "fifo")
    for name in ("fifo", "none", "."):
        assert ask(top, name).status == 404


def test_types() -> None:
    assert content_type_of("x.tar.gz") == "application/gzip"
    assert content_type_of("x.unknown") == "application/octet-stream"
    assert content_type_of("x.png") == "image/png"


@given(st.text(alphabet="bytes=0123456789-, ", max_size=20), st.integers(0, 100))
def test_a_range_lies_in_the_file(value: str, size: int) -> None:
    part: Any = None
    try:
        part = parse_range(value, size)
    except ValueError:
        return
    if part is not None:
        assert 0 <= part[0] < part[1] <= size
