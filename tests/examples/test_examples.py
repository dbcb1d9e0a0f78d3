"""Every example works: configurations with a real server, the test as it is, units as systemd reads them."""

from __future__ import annotations

import configparser
import subprocess
import sys
from pathlib import Path

import pytest

from tests.real.daemon import running

EXAMPLES = Path(__file__).resolve().parent.parent.parent / "examples"


@pytest.mark.slow
def test_the_test_passes() -> None:
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", EXAMPLES / "test_word_count.py"],
        check=True, timeout=120,
    )  # fmt: skip


def test_each_file_is_in_the_index() -> None:
    index = (EXAMPLES / "README.md").read_text()
    made = {"README.md", "__pycache__"}
    assert [path.name for path in EXAMPLES.glob("*") if path.name not in index and path.name not in made] == []


@pytest.mark.parametrize("unit", ["jupyterd.service", "jupyterd.socket"])
def test_units_are_units(unit: str) -> None:
    parsed = configparser.RawConfigParser(strict=False)
    parsed.optionxform = str  # type: ignore[assignment, method-assign]
    parsed.read(EXAMPLES / "systemd" / unit)
    assert "Install" in parsed
    assert "Service" in parsed or "Socket" in parsed


@pytest.mark.real
def test_guests_may_read(tmp_path: Path) -> None:
    both = tmp_path / "both.py"
    files = [str(EXAMPLES / name) for name in ("proxy_identity.py", "guests_may_read.py")]
    both.write_text("".join(f"load_subconfig({file!r})\n" for file in files))
    with running(tmp_path, f"--config={both}") as daemon:

        def status(user: str, method: str, path: str, body: object = None) -> int:
            return daemon.ask(method, path, body, {"X-Remote-User": user, **browser} if user else {}, token="").status

        page = daemon.ask("GET", "/lab", headers={"X-Remote-User": "ada"}, token="")
        xsrf = next(value for name, value in page.headers.items() if name.lower() == "set-cookie" and "_xsrf=" in value)
        cookie = xsrf.partition(";")[0]
        browser = {"Cookie": cookie, "X-XSRFToken": cookie.partition("=")[2]}
        assert status("", "GET", "/api/contents") == 403
        assert status("eve", "GET", "/api/contents") == 200
        assert status("eve", "POST", "/api/contents", {"type": "file"}) == 403
        assert status("eve", "GET", "/api/terminals") == 403
        assert status("ada", "POST", "/api/contents", {"type": "file"}) == 201


@pytest.mark.real
def test_notes_in_sqlite(tmp_path: Path) -> None:
    with running(tmp_path, f"--config={EXAMPLES / 'sqlite_contents.py'}") as daemon:
        text = {"type": "file", "format": "text", "content": "hello"}
        assert daemon.ask("PUT", "/api/contents/a.txt", text).status == 201
        assert daemon.json("GET", "/api/contents/a.txt")["content"] == "hello"
        notebook = daemon.json("POST", "/api/contents", {"type": "notebook"})["path"]
        model = daemon.json("GET", f"/api/contents/{notebook}")
        assert model["content"]["nbformat"] == 4
        checkpoint = daemon.json("POST", "/api/contents/a.txt/checkpoints")
        daemon.json("PUT", "/api/contents/a.txt", {**text, "content": "changed"})
        daemon.json("POST", f"/api/contents/a.txt/checkpoints/{checkpoint['id']}")
        assert daemon.json("GET", "/api/contents/a.txt")["content"] == "hello"
        assert daemon.json("PATCH", "/api/contents/a.txt", {"path": "b.txt"})["path"] == "b.txt"
        listed = [entry["name"] for entry in daemon.json("GET", "/api/contents")["content"]]
        assert listed == ["Untitled.ipynb", "b.txt"]
        assert daemon.ask("GET", "/api/contents/a.txt").status == 404
        assert daemon.ask("DELETE", "/api/contents/b.txt").status == 204
    assert sorted(path.name for path in (tmp_path / "root").iterdir() if path.suffix) == ["notes.sqlite"]


@pytest.mark.real
def test_a_native_extension(tmp_path: Path) -> None:
    import json

    import websocket

    site = tmp_path / "site"
    info = site / "jupyterd_word_count-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "jupyterd_word_count.py").write_text((EXAMPLES / "native_extension" / "jupyterd_word_count.py").read_text())
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: jupyterd-word-count\nVersion: 1.0\n")
    points = "word-count = jupyterd_word_count:extension\nx = no_such:y\n"
    (info / "entry_points.txt").write_text(f"[jupyterd.extensions]\n{points}")
    with running(tmp_path, "--WordCount.limit=20", PYTHONPATH=str(site)) as daemon:
        (daemon.root / "a.txt").write_text("one two three")
        (daemon.root / "b.txt").write_text("x" * 30)
        assert daemon.json("GET", "/word-count/a.txt") == {"words": 3, "saves": 0}
        assert daemon.ask("GET", "/word-count/b.txt").status == 413
        assert daemon.ask("GET", "/word-count/a.txt", token="").status == 403
        url = f"ws://127.0.0.1:{daemon.port}/word-count-watch"
        with pytest.raises(websocket.WebSocketBadStatusException):
            websocket.create_connection(url)
        watch = websocket.create_connection(f"{url}?token=t0ken", timeout=20)
        daemon.json("PUT", "/api/contents/c.txt", {"type": "file", "format": "text", "content": "new"})
        assert json.loads(watch.recv()) == "c.txt"
        assert daemon.json("GET", "/word-count/c.txt") == {"words": 1, "saves": 1}
        told = {each["name"]: each for each in daemon.json("GET", "/api/extensions")["extensions"]}
        assert (told["word-count"]["version"], told["word-count"]["error"]) == ("1.0", "")
        assert "ModuleNotFoundError" in told["x"]["error"]
        assert '"wordCount": "/word-count"' in daemon.ask("GET", "/lab").body.decode()
        assert daemon.children() == set()
