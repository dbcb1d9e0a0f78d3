"""``/files``: downloads, and uploads as they are."""

from __future__ import annotations

import os
from typing import Any

import pytest


@pytest.fixture
def served(client: Any) -> Any:
    (client.root / "p.py").write_bytes(b"print(1)\n")
    (client.root / "n.ipynb").write_text("{}")
    (client.root / "page.html").write_text("<script>")
    (client.root / "noext").write_text("x")
    (client.root / ".hidden").write_text("x")
    (client.root / "d").mkdir()
    os.mkfifo(client.root / "fifo")
    (client.root.parent / "outside").write_text("secret")
    (client.root / "out").symlink_to("../outside")
    return client


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("p.py", "text/x-python"),
        ("n.ipynb", "application/x-ipynb+json"),
        ("page.html", "text/html"),
        ("noext", "application/octet-stream"),
        ("x.js", "application/javascript"),
        ("link", "text/x-python"),
    ],
)
def test_content_types(served: Any, path: str, kind: str) -> None:
    (served.root / "x.js").touch()
    (served.root / "link").symlink_to("p.py")
    answer = served.ask("GET", f"/files/{path}")
    assert (answer.status, answer.header("content-type"), answer.header("cache-control")) == (200, kind, "no-cache")


@pytest.mark.parametrize(
    ("path", "status"),
    [("nope", 404), (".hidden", 404), ("d", 403), ("fifo", 403), ("out", 403), ("..%2foutside", 404)],
)
def test_refused(served: Any, path: str, status: int) -> None:
    answer = served.ask("GET", f"/files/{path}")
    assert answer.status == status
    assert b"secret" not in answer.body


def test_as_an_attachment(served: Any) -> None:
    assert served.ask("GET", "/files/p.py").header("content-disposition") is None
    for path in ("p.py?download=1", "n.ipynb"):
        found = served.ask("GET", f"/files/{path}").header("content-disposition")
        assert found == f"attachment; filename*=utf-8''{path.partition('?')[0]}"


def test_parts_and_validators(served: Any) -> None:
    whole = served.ask("GET", "/files/p.py")
    part = served.ask("GET", "/files/p.py", Range="bytes=0-4")
    assert (part.status, part.body, part.header("content-range")) == (206, b"print", "bytes 0-4/9")
    assert served.ask("GET", "/files/p.py", Range="bytes=100-").status == 416
    assert served.ask("GET", "/files/p.py", If_None_Match=whole.header("etag")).status == 304
    assert served.ask("GET", "/files/p.py", If_Modified_Since=whole.header("last-modified")).status == 304
    head = served.ask("HEAD", "/files/p.py")
    assert (head.status, head.header("content-length"), head.body) == (200, "9", b"")


def test_the_tag_is_that_of_the_contents_api(served: Any) -> None:
    tags = {served.ask("GET", f"{prefix}/p.py").header("etag") for prefix in ("/files", "/api/contents")}
    assert len(tags) == 1


def test_files_of_more_than_four_gibibytes(client: Any) -> None:
    size = (5 << 30) + 3
    with (client.root / "huge.bin").open("wb") as file:
        file.seek(size - 3)
        file.write(b"end")
    head = client.ask("HEAD", "/files/huge.bin")
    assert (head.status, head.header("content-length")) == (200, str(size))
    part = client.ask("GET", "/files/huge.bin", Range="bytes=-3")
    assert (part.status, part.body, part.header("content-range")) == (
        206,
        b"end",
        f"bytes {size - 3}-{size - 1}/{size}",
    )
    assert client.get("huge.bin?content=0")["size"] == size
    assert client.ask("GET", "/api/contents/huge.bin?content=1").status == 413


def upload(client: Any, path: str, body: bytes, **headers: str) -> Any:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.site.request("PUT", f"/files/{path}", body, headers=named)


def test_uploaded_as_it_is(client: Any) -> None:
    body = os.urandom(3_000_000)
    first = upload(client, "a.bin", body)
    assert (first.status, first.json()["size"], first.header("location")) == (201, len(body), "/files/a.bin")
    contents = client.contents
    assert (contents.uploads, contents.uploaded) == ({"raw": 1, "large": 0}, len(body))
    assert sum(contents.saves.counts) == 1
    assert (client.root / "a.bin").read_bytes() == body
    assert upload(client, "a.bin", b"x", If_Match='"other"').status == 412
    assert upload(client, "a.bin", b"x", If_Match=first.header("etag")).status == 200
    assert upload(client, "empty", b"").status == 201
    assert (client.root / "a.bin").read_bytes() == b"x"
    assert sorted(os.listdir(client.root)) == ["a.bin", "empty"]


@pytest.mark.parametrize(
    ("path", "status", "message"),
    [
        ("nodir/a", 404, "No such directory: nodir"),
        ("d", 400, "d is a directory, not a file"),
        ("fifo", 400, None),
        ("..%2foutside", 404, None),
    ],
)
def test_where_nothing_can_be_uploaded(served: Any, path: str, status: int, message: str | None) -> None:
    before = sorted(os.listdir(served.root))
    answer = upload(served, path, b"x" * 3_000_000)
    assert answer.status == status
    assert message is None or answer.json()["message"] == message
    assert sorted(os.listdir(served.root)) == before
    assert (served.root.parent / "outside").read_text() == "secret"


def test_a_client_that_goes_away_leaves_nothing(client: Any) -> None:
    connection = client.site.connect()
    head = b"PUT /files/a.bin HTTP/1.1\r\nHost: x\r\nContent-Length: 5000000\r\n\r\n"
    connection.send(head + b"x" * 3_000_000)
    assert len(os.listdir(client.root)) == 1
    connection.transport.loseConnection()
    from twisted.internet.error import ConnectionLost
    from twisted.python.failure import Failure

    connection.protocol.connectionLost(Failure(ConnectionLost()))
    assert os.listdir(client.root) == []


@pytest.fixture
def linked(client: Any) -> Any:
    """Links that lead out of the root, and links that do not."""
    (client.root / "d").mkdir()
    (client.root / "d/a.txt").write_text("old")
    outside = client.root.parent / "elsewhere"
    outside.mkdir()
    (outside / "file").write_text("theirs")
    (client.root / "out").symlink_to("../elsewhere")
    (client.root / "out.txt").symlink_to("../elsewhere/file")
    (client.root / "new-out.txt").symlink_to("../elsewhere/new")
    (client.root / "in").symlink_to("d")
    (client.root / "in.txt").symlink_to(client.root / "d/a.txt")
    (client.root / "new-in.txt").symlink_to("d/new.txt")
    return client


@pytest.mark.parametrize("path", ["out/file", "out/new", "out.txt", "new-out.txt"])
def test_nothing_is_put_out_of_the_root(linked: Any, path: str) -> None:
    outside = linked.root.parent / "elsewhere"
    for body in (b"mine", b"m" * 3_000_000):
        answer = upload(linked, path, body)
        assert (answer.status, answer.json()["message"]) == (403, f"{path} is not in root static directory")
    assert os.listdir(outside) == ["file"]
    assert (outside / "file").read_text() == "theirs"


@pytest.mark.parametrize(
    ("path", "real", "status"),
    [("in/a.txt", "a.txt", 200), ("in.txt", "a.txt", 200), ("in/b.txt", "b.txt", 201), ("new-in.txt", "new.txt", 201)],
)
def test_links_within_the_root_are_followed(linked: Any, path: str, real: str, status: int) -> None:
    for body, expected in ((b"first", status), (b"m" * 3_000_000, 200)):
        assert upload(linked, path, body).status == expected
        assert (linked.root / "d" / real).read_bytes() == body
        assert linked.ask("GET", f"/files/{path}").body == body
    assert (linked.root / "in.txt").is_symlink()
    assert sorted(os.listdir(linked.root / "d")) == sorted({"a.txt", real})
    assert not [fd for fd in os.listdir("/proc/self/fd") if is_of(fd, linked.root)]


def is_of(fd: str, root: Any) -> bool:
    try:
        return os.readlink(f"/proc/self/fd/{fd}").startswith(str(root))
    except OSError:
        return False


@pytest.mark.parametrize("what", ["d", "d/a.txt"])
def test_a_link_that_is_swapped_in_under_an_upload_is_not_followed(linked: Any, what: str) -> None:
    """After the head came, and before the last byte did."""
    outside = linked.root.parent / "elsewhere"
    (outside / "a.txt").write_text("theirs")
    connection = linked.site.connect()
    head = b"PUT /files/d/a.txt HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n"
    connection.send(head + b"m" * 2_000_000)
    os.rename(linked.root / what, linked.root / "moved")
    os.symlink(outside if what == "d" else outside / "a.txt", linked.root / what)
    connection.send(b"m" * 1_000_000)
    assert connection.received().startswith(b"HTTP/1.1 20")
    assert (outside / "a.txt").read_text() == "theirs"
    assert sorted(os.listdir(outside)) == ["a.txt", "file"]


@pytest.mark.parametrize("directory", ["a.txt", "none", "a.txt/b"])
def test_no_file_is_put_below_what_is_no_directory(client: Any, directory: str) -> None:
    (client.root / "a.txt").touch()
    assert upload(client, f"{directory}/x", b"x").status == 404
