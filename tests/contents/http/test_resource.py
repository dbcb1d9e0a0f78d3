"""The contents API over the real site: statuses, models, headers, messages."""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest
from nbformat.reader import NotJSONError

from jupyterd.contents.files import exclusive

NOT_JSON = NotJSONError("Notebook does not appear to be JSON: 'x'")
TEXT = {"type": "file", "format": "text"}


def text(content: str) -> dict[str, Any]:
    return {**TEXT, "content": content}


def test_a_directory(client: Any) -> None:
    for name in ("a.txt", "n.ipynb", ".hidden", "x.pyc"):
        (client.root / name).write_text("{}")
    (client.root / "d").mkdir()
    (client.root / "broken").symlink_to("nowhere")
    os.mkfifo(client.root / "fifo")
    model = client.get("")
    kinds = {one["name"]: one["type"] for one in model["content"]}
    assert kinds == {"a.txt": "file", "n.ipynb": "notebook", "d": "directory", "broken": "file"}
    assert (model["type"], model["format"], model["size"], model["path"]) == ("directory", "json", None, "")
    assert all(one["content"] is None for one in model["content"])


def test_hidden_ones_are_shown_if_the_operator_wants(make_client: Callable[..., Any]) -> None:
    client = make_client(allow_hidden=True)
    (client.root / ".hidden").write_text("x")
    assert [one["name"] for one in client.get("")["content"]] == [".hidden"]
    assert client.get(".hidden")["content"] == "x"


def test_names_that_are_not_utf_8_are_listed(client: Any) -> None:
    (client.root / os.fsdecode(b"\xff.txt")).write_text("x")
    assert client.get("")["content"][0]["name"] == "\udcff.txt"


def test_a_directory_that_goes_away_under_its_listing(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (client.root / "d").mkdir()

    def gone(path: str) -> Any:
        raise FileNotFoundError(2, "No such file or directory", path)

    monkeypatch.setattr(os, "scandir", gone)
    assert client.ask("GET", "/api/contents/d").status == 404


@pytest.mark.parametrize(
    ("query", "content", "form"),
    [("", "héllo", "text"), ("?format=text", "héllo", "text"), ("?format=base64", "aMOpbGxv\n", "base64")],
)
def test_a_file(client: Any, query: str, content: str, form: str) -> None:
    (client.root / "a.txt").write_text("héllo")
    model = client.get("a.txt" + query)
    assert (model["content"], model["format"], model["mimetype"]) == (content, form, "text/plain")


def test_hash_and_time_are_of_one_file(client: Any) -> None:
    (client.root / "a.txt").write_bytes(b"abc")
    model = client.get("a.txt?hash=1")
    assert model["hash"] == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert model["hash_algorithm"] == "sha256"
    assert client.get("a.txt?hash=1&content=0")["hash"] == model["hash"]
    answer = client.ask("GET", "/api/contents/a.txt")
    seconds = parsedate_to_datetime(answer.header("last-modified")).timestamp()
    assert seconds == int((client.root / "a.txt").stat().st_mtime)


@pytest.mark.parametrize(
    ("path", "status", "message"),
    [
        ("a.txt?format=xx", 400, "Format 'xx' is invalid"),
        ("a.txt?content=2", 400, "Content '2' is invalid"),
        ("a.txt?hash=x", 400, "Hash argument 'x' is invalid. It must be '0' or '1'."),
        ("a.txt?type=directory", 400, "a.txt is not a directory"),
        ("d?type=file", 400, "d is a directory, not a file"),
        ("latin.txt?format=text", 400, "ROOT/latin.txt is not UTF-8 encoded"),
        ("fifo", 400, "Cannot read non-file ROOT/fifo"),
        ("a.txt?type=notebook", 400, f"Unreadable Notebook: ROOT/a.txt {NOT_JSON!r}"),
        ("n.ipynb/checkpoints/x", 405, "Method Not Allowed"),
    ],
)  # fmt: skip
def test_what_can_not_be_read(client: Any, path: str, status: int, message: str) -> None:
    (client.root / "a.txt").write_text("x")
    (client.root / "latin.txt").write_bytes(b"\xe9")
    (client.root / "d").mkdir()
    os.mkfifo(client.root / "fifo")
    answer = client.ask("GET", f"/api/contents/{path}")
    assert (answer.status, answer.json()["message"]) == (status, message.replace("ROOT", str(client.root)))


@pytest.mark.parametrize("path", ["nope", ".hidden", "d/.h/x", "a.txt/x", "n" * 300])
def test_what_is_not_there_is_said_in_a_bare_sentence(client: Any, path: str) -> None:
    (client.root / ".hidden").touch()
    (client.root / "a.txt").touch()
    answer = client.ask("GET", f"/api/contents/{path}")
    assert (answer.status, answer.body.decode()) == (404, f"file or directory '/{path}' does not exist")


@pytest.mark.parametrize("path", ["%2e%2e/x", "d/%2e%2e/%2e%2e/x", "..%2fx"])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "POST"])
def test_no_way_out(client: Any, path: str, method: str) -> None:
    (client.root.parent / "x").write_text("secret")
    answer = client.ask(method, f"/api/contents/{path}", text("y") if method == "PUT" else None)
    assert answer.status in (400, 404)
    assert (client.root.parent / "x").read_text() == "secret"


def test_encoded_twice_it_is_a_name(client: Any) -> None:
    assert client.put("%252e%252e", text("x")).status == 201
    assert os.listdir(client.root) == ["%2e%2e"]


def test_saved_and_saved_again(client: Any) -> None:
    first, again = client.put("a%20b.txt", text("1")), client.put("a%20b.txt", text("22"))
    assert (first.status, again.status) == (201, 200)
    assert first.header("location") == "/api/contents/a%20b.txt"
    assert (again.json()["size"], again.json()["content"], again.json()["format"]) == (2, None, None)
    assert (client.root / "a b.txt").read_text() == "22"


@pytest.mark.parametrize(
    ("model", "status", "message"),
    [
        ({"type": "file", "content": "x"}, 400, "Must specify format of file contents as 'text' or 'base64'"),
        ({"type": "file", "format": "text", "content": 5}, 400, "The content of a file is of another type"),
        ({"copy_from": "b"}, 400, "Cannot copy with PUT, only POST"),
        ({"type": "file", "path": ".h", **TEXT, "content": "x"}, 400, "Cannot create file or directory '/a.txt'"),
        ([1], 400, "The request body must be a JSON object"),
        ({"type": "notebook", "content": "str"}, 400, "The content of a notebook is of another type"),
        ({"type": "notebook", "content": {}}, 500, "Unexpected error while saving file: a.txt nbformat"),
    ],
)  # fmt: skip
def test_what_can_not_be_saved(client: Any, model: Any, status: int, message: str) -> None:
    answer = client.put("a.txt", model)
    assert (answer.status, answer.json()["message"]) == (status, message.replace("ROOT", str(client.root)))
    assert os.listdir(client.root) == []


def test_not_json(client: Any) -> None:
    answer = client.site.request("PUT", "/api/contents/a.txt", b"{bad")
    assert (answer.status, answer.json()["message"]) == (400, "Invalid JSON in body of request")


def test_a_stale_save_is_refused(client: Any) -> None:
    tag = client.put("a.txt", text("1")).header("etag")
    assert client.put("a.txt", text("22"), If_Match=tag).status == 200
    answer = client.put("a.txt", text("333"), If_Match=tag)
    assert (answer.status, answer.json()["message"]) == (412, "a.txt was changed by someone else")
    digest = client.get("a.txt?hash=1")["hash"]
    assert client.put("a.txt", text("4"), If_Match=f'"x", "{digest}"').status == 200
    assert client.put("a.txt", text("5"), If_Match="*").status == 200
    assert client.put("new.txt", text("5"), If_Match="*").status == 412
    assert (client.root / "a.txt").read_text() == "5"


def test_new_ones_get_free_names(client: Any) -> None:
    names = []
    for body in (
        {},
        {},
        {"type": "notebook"},
        {"ext": ".ipynb"},
        {"type": "directory"},
        {"type": "directory"},
        {"ext": ".py"},
    ):
        answer = client.ask("POST", "/api/contents", body)
        assert answer.status == 201
        names.append(answer.json()["name"])
    assert names[:4] == ["untitled", "untitled1", "Untitled.ipynb", "Untitled1.ipynb"]
    assert names[4:] == ["Untitled Folder", "Untitled Folder 1", "untitled.py"]
    assert json.loads((client.root / "Untitled.ipynb").read_text())["nbformat"] == 4


def test_copies(client: Any) -> None:
    (client.root / "a.tar.gz").write_bytes(b"\xff")
    (client.root / "d" / "e").mkdir(parents=True)
    (client.root / "d" / "e" / "f").write_text("x")
    made = [
        client.ask("POST", f"/api/contents{where}", {"copy_from": source}).json()["path"]
        for where, source in (
            ("", "a.tar.gz"),
            ("", "/a-Copy1.tar.gz"),
            ("/d", "a.tar.gz"),
            ("", "d"),
            ("/new", "a.tar.gz"),
        )
    ]
    assert made == ["a-Copy1.tar.gz", "a-Copy2.tar.gz", "d/a.tar.gz", "d-Copy1", "new"]
    assert (client.root / "d-Copy1/e/f").read_text() == "x"
    assert (client.root / "new").read_bytes() == b"\xff"


def test_copies_of_directories_have_a_limit(make_client: Callable[..., Any]) -> None:
    client = make_client(max_copy_folder_size_mb=0)
    (client.root / "d").mkdir()
    (client.root / "d/f").write_bytes(b"x" * 5000)
    answer = client.ask("POST", "/api/contents", {"copy_from": "d"})
    assert answer.status == 400
    assert "Can't copy folders larger than 0MB" in answer.json()["message"]


def test_checkpoints_of_a_directory_that_may_not_be_written(
    client: Any, notebook: Callable[..., Any], data_dir: Path, deny_writing_in: Callable[[Path], None]
) -> None:
    for name in ("d", "e"):
        (client.root / name).mkdir()
        deny_writing_in(client.root / name)
        assert client.put(f"{name}/a.ipynb", {"type": "notebook", "content": notebook(name)}).status == 201
    client.put("d/a.ipynb", {"type": "notebook", "content": notebook("new")})
    assert client.ask("POST", "/api/contents/d/a.ipynb/checkpoints/checkpoint").status == 204
    assert client.get("d/a.ipynb")["content"]["cells"][0]["source"] == "d", "not that of e, nor of another user"
    kept = data_dir / "jupyterd/checkpoints"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o700
    assert len(list(kept.glob("*/a-checkpoint.ipynb"))) == 2
    assert not (client.root / "d/.ipynb_checkpoints").exists()


@pytest.mark.parametrize(("number", "status", "left"), [(errno.EACCES, 403, ["a"]), (errno.EXDEV, 200, ["b"])])
def test_only_to_another_filesystem_is_copied(
    client: Any, monkeypatch: pytest.MonkeyPatch, number: int, status: int, left: list[str]
) -> None:
    """What is refused for any other reason leaves no copy."""
    (client.root / "a").write_text("x")

    def refuse(old: str, new: str) -> bool:
        if old == str(client.root / "a"):
            raise OSError(number, os.strerror(number), old)
        os.rename(old, new)
        return True

    monkeypatch.setattr(exclusive, "_rename_noreplace", refuse)
    assert client.ask("PATCH", "/api/contents/a", {"path": "b"}).status == status
    assert os.listdir(client.root) == left


def test_renamed(client: Any) -> None:
    (client.root / "a").write_text("x")
    (client.root / "b").write_text("y")
    (client.root / "d").mkdir()
    assert client.ask("PATCH", "/api/contents/a", {"path": "d/c"}).json()["path"] == "d/c"
    assert client.ask("PATCH", "/api/contents/d/c", {"path": "b"}).status == 409
    assert client.ask("PATCH", "/api/contents/nope", {"path": "x"}).status == 404
    assert client.ask("PATCH", "/api/contents/b", {"path": ".b"}).status == 400
    assert client.ask("PATCH", "/api/contents/b", {"path": "../b"}).status == 404
    assert client.ask("PATCH", "/api/contents/b").json()["message"] == "JSON body missing"
    assert sorted(os.listdir(client.root)) == ["b", "d"]


def test_deleted(client: Any) -> None:
    (client.root / "a").write_text("x")
    (client.root / "d").mkdir()
    (client.root / "d/f").touch()
    (client.root / "e/.ipynb_checkpoints").mkdir(parents=True)
    (client.root / "broken").symlink_to("nowhere")
    assert client.ask("DELETE", "/api/contents/a").status == 204
    assert client.ask("DELETE", "/api/contents/a").status == 404
    assert client.ask("DELETE", "/api/contents/d").status == 400
    assert client.ask("DELETE", "/api/contents/e").status == 204
    assert client.ask("DELETE", "/api/contents/broken").status == 204
    assert client.ask("DELETE", "/api/contents").json()["message"] == "Can't delete root"
    assert os.listdir(client.root) == ["d"]


def test_to_the_trash(make_client: Callable[..., Any], data_dir: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []
    monkeypatch.setattr("send2trash.send2trash", sent.append)
    client = make_client()
    (client.root / "d").mkdir()
    (client.root / "d/f").touch()
    assert client.ask("DELETE", "/api/contents/d").status == 204
    assert sent == [str(client.root / "d")]


def test_a_notebook(client: Any, notebook: Callable[..., Any]) -> None:
    nb = notebook("a\nb")
    assert client.put("n.ipynb", {"type": "notebook", "format": "json", "content": nb}).status == 201
    model = client.get("n.ipynb")
    nb["cells"][0]["metadata"] = {"trusted": True}
    assert (model["content"], model["type"], model["format"], model["mimetype"]) == (nb, "notebook", "json", None)
    assert json.loads((client.root / "n.ipynb").read_text())["cells"][0]["source"] == ["a\n", "b"]
    assert [one["id"] for one in client.get("n.ipynb/checkpoints")] == ["checkpoint"]


def test_an_invalid_notebook_is_saved_and_says_so(client: Any, notebook: Callable[..., Any]) -> None:
    nb = notebook("a")
    nb["cells"][0]["bogus"] = 1
    for answer in (
        client.put("n.ipynb", {"type": "notebook", "content": nb}),
        client.ask("GET", "/api/contents/n.ipynb"),
    ):
        assert answer.json()["message"].startswith("Notebook validation failed: Additional properties")


def test_checkpoints(client: Any) -> None:
    client.put("a.txt", text("old"))
    made = client.ask("POST", "/api/contents/a.txt/checkpoints")
    assert (made.status, made.header("location")) == (201, "/api/contents/a.txt/checkpoints/checkpoint")
    client.put("a.txt", text("new"))
    assert client.ask("POST", "/api/contents/a.txt/checkpoints/checkpoint").status == 204
    assert (client.root / "a.txt").read_text() == "old"
    assert client.ask("DELETE", "/api/contents/a.txt/checkpoints/checkpoint").status == 204
    gone = client.ask("POST", "/api/contents/a.txt/checkpoints/checkpoint")
    assert (gone.status, gone.json()["message"]) == (404, "Checkpoint does not exist: a.txt@checkpoint")


def test_a_checkpoint_that_can_not_be_made_does_not_undo_the_save(client: Any, notebook: Callable[..., Any]) -> None:
    name = "n" * 249 + ".ipynb"  # the longest that there is; its checkpoint's would be longer
    assert client.put(name, {"type": "notebook", "content": notebook("a")}).status == 201
    assert client.get(name)["content"]["cells"][0]["source"] == "a"
    assert client.get(f"{name}/checkpoints") == []
    refused = client.ask("POST", f"/api/contents/{name}/checkpoints")
    assert (refused.status, refused.json()["message"]) == (400, f"File name too long: {checkpoint_of(name)}")


def checkpoint_of(name: str) -> str:
    return f".ipynb_checkpoints/{name.removesuffix('.ipynb')}-checkpoint.ipynb"


@pytest.mark.parametrize(("name", "verb", "status"), [
    ("nope.txt", "checkpoints", 404),
    ("d", "checkpoints", 400),
    ("d", "trust", 400),
    ("a.txt", "trust", 400),
    ("nope.ipynb", "trust", 404),
])  # fmt: skip
def test_what_has_no_checkpoint_and_no_trust(client: Any, name: str, verb: str, status: int) -> None:
    (client.root / "d").mkdir()
    (client.root / "a.txt").touch()
    assert client.ask("POST", f"/api/contents/{name}/{verb}").status == status


def test_special_files_are_not_written(client: Any) -> None:
    os.mkfifo(client.root / "fifo")
    (client.root / "loop").symlink_to("loop")
    for name in ("fifo", "loop"):
        answer = client.put(name, text("x"))
        assert (answer.status, answer.json()["message"]) == (400, f"Cannot write non-file {client.root}/{name}")


def test_symbolic_links_are_saved_through(client: Any) -> None:
    (client.root / "a.txt").write_text("old")
    (client.root / "link.txt").symlink_to("a.txt")
    assert client.put("link.txt", text("new")).json()["size"] == 3
    assert (client.root / "link.txt").is_symlink()
    assert (client.root / "a.txt").read_text() == "new"


def test_resolve_path(client: Any) -> None:
    (client.root / "d").mkdir()
    (client.root / "d/a.py").touch()

    def resolved(path: str) -> list[Any]:
        return list(client.ask("GET", f"/api/resolvePath?path={path}").json()["resolved"])

    assert resolved("d/a.py") == [{"scope": "server", "path": "d/a.py"}]
    assert resolved(f"{client.root}/d/a.py") == [{"scope": "server", "path": "d/a.py"}]
    assert resolved("/etc/passwd") == []
    assert resolved("../x") == []
    assert client.ask("GET", "/api/resolvePath").status == 400


def test_view_and_the_old_address(client: Any) -> None:
    (client.root / "a b.html").touch()
    page = client.ask("GET", "/view/a%20b.html").json()
    assert page == {"template": "view.html", "file_url": "/files/a%20b.html", "page_title": "a b.html"}
    assert client.ask("GET", "/view/nope").status == 404
    moved = client.ask("GET", "/api/notebooks/a%20b.html")
    assert (moved.status, moved.header("location")) == (302, "/api/contents/a%20b.html")


@pytest.mark.parametrize("name", ["trust", "checkpoints", "checkpoints/checkpoint", "checkpoints/trust"])
@pytest.mark.parametrize("folder", ["", "d/", "d/checkpoints/"])
def test_entries_that_are_called_as_what_is_done_to_them(client: Any, folder: str, name: str) -> None:
    path = folder + name
    (client.root / path).parent.mkdir(parents=True, exist_ok=True)
    assert client.put(path, text("x")).status == 201
    assert client.get(path)["content"] == "x"
    assert client.put(path, text("y")).status == 200
    assert client.ask("POST", f"/api/contents/{path}/checkpoints").status == 201
    assert len(client.get(f"{path}/checkpoints")) == 1
    assert client.ask("PATCH", f"/api/contents/{path}", {"path": "moved"}).status == 200
    assert client.ask("PATCH", "/api/contents/moved", {"path": path}).status == 200
    assert client.ask("DELETE", f"/api/contents/{path}").status == 204
    assert not (client.root / path).exists()


@pytest.mark.parametrize("name", ["trust", "checkpoints"])
@pytest.mark.parametrize("folder", ["", "d/"])
def test_folders_that_are_called_so(client: Any, folder: str, name: str) -> None:
    path = folder + name
    (client.root / path).mkdir(parents=True)
    assert client.get(path)["type"] == "directory"
    made = client.ask("POST", f"/api/contents/{path}", {"type": "notebook"})
    assert (made.status, made.json()["path"].strip("/")) == (201, f"{path}/Untitled.ipynb")
    assert client.ask("POST", f"/api/contents/{path}/Untitled.ipynb/trust").status == 201
    assert len(client.get(f"{path}/Untitled.ipynb/checkpoints")) == 1


def test_what_is_done_to_an_entry_is_done_where_no_entry_is_called_so(client: Any) -> None:
    (client.root / "d").mkdir()
    assert client.put("a.txt", text("x")).status == 201
    assert client.get("a.txt/checkpoints") == []
    assert client.get("d/checkpoints") == []
    assert client.ask("GET", "/api/contents/checkpoints").status == 404
    assert client.ask("GET", "/api/contents/trust").status == 404
    for method, path in (("GET", "a.txt/trust"), ("PUT", "a.txt/trust"), ("PUT", "a.txt/checkpoints")):
        assert client.ask(method, f"/api/contents/{path}", text("x") if method == "PUT" else None).status == 405
