"""Large bodies and notebooks: spooled, worked on by a child process, answered in slices."""

from __future__ import annotations

import base64
import json
import mmap
import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred

from jupyterd.contents.http.upload_sink import BLOCK, SpoolFile, UploadSink
from jupyterd.contents.managers.largefilemanager import AsyncLargeFileManager
from jupyterd.contents.operations import Missing
from jupyterd.contents.worker import base64_stream, parent
from jupyterd.contents.worker.child import OPERATIONS, answer, manager_of
from jupyterd.contents.worker.parent import Worker, can_delegate, describe
from jupyterd.errors import Invalid
from jupyterd.testing.deferreds import at_once, result_of


class FlowingRequest:
    """A request whose body can be held back."""

    def __init__(self) -> None:
        self.paused = False

    def pause_body(self) -> None:
        self.paused = True

    def resume_body(self) -> None:
        self.paused = False


class Slow:
    """An InThread whose calls end when the test says."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[], None]] = []

    def __call__(self, function: Any, *args: Any) -> Deferred[Any]:
        done: Deferred[Any] = Deferred()

        def finish() -> None:
            at_once(function, *args).chainDeferred(done)

        self.waiting.append(finish)
        return done

    def step(self) -> None:
        self.waiting.pop(0)()


@settings(deadline=None)
@given(st.lists(st.integers(1, BLOCK), min_size=1, max_size=12), st.lists(st.booleans(), max_size=40))
def test_a_spooled_body_is_whole_and_little_is_held(sizes: list[int], steps: list[bool]) -> None:
    request, slow = FlowingRequest(), Slow()
    spool = SpoolFile(lambda: f"/tmp/jupyterd-test-{os.getpid()}")
    sink = UploadSink(request, spool, slow)  # type: ignore[arg-type]
    sent = [bytes([number % 251]) * size for number, size in enumerate(sizes)]
    try:
        for piece in sent:
            while request.paused:
                slow.step()
            sink.write(piece)
            assert sink._length <= 2 * BLOCK
            if steps and steps.pop() and slow.waiting:
                slow.step()
        done = Deferred.fromCoroutine(sink.complete())
        while slow.waiting:
            slow.step()
        result_of(done)
        assert spool.path is not None
        assert Path(spool.path).read_bytes() == b"".join(sent)
    finally:
        spool.abort()


def test_what_writing_fails_with_is_told(tmp_path: Path) -> None:
    class Full:
        def write(self, data: bytes) -> None:
            raise OSError(28, "full")

        def abort(self) -> None: ...

    sink = UploadSink(FlowingRequest(), Full(), at_once)  # type: ignore[arg-type]
    for _ in range(3):
        sink.write(b"x" * BLOCK)
    with pytest.raises(OSError, match="full"):
        result_of(Deferred.fromCoroutine(sink.complete()))


def test_a_small_body_is_never_written() -> None:
    sink = UploadSink(FlowingRequest(), SpoolFile(lambda: "/nowhere/x"), at_once)  # type: ignore[arg-type]
    sink.write(b"a")
    sink.write(b"b")
    assert sink.in_memory() == b"ab"
    sink.close()


@settings(deadline=None)
@given(st.binary(max_size=400), st.integers(1, 60), st.booleans(), st.integers(4, 90))
def test_base64_in_json_block_by_block(data: bytes, width: int, broken: bool, block: int) -> None:
    text = base64.b64encode(data).decode()
    if broken:
        text = "\n".join(text[i : i + width] for i in range(0, len(text), width)) + "\n"
    with mmap.mmap(-1, 4096) as body:
        raw = json.dumps({"type": "file", "format": "base64", "content": text}).encode()
        body.resize(len(raw))
        body.write(raw)
        before, base64_stream.BLOCK = base64_stream.BLOCK, block
        try:
            model = base64_stream.sketch(body)
            assert model is not None
            assert b"".join(base64_stream.decoded(model.content)) == data
        finally:
            base64_stream.BLOCK = before
            del model


@pytest.mark.parametrize("content", ['"\\u0041AAA"', '"AA*A"', '"A"', "5", '"AA=AAAAA"'])
def test_other_base64_is_left_to_the_usual_way(content: str) -> None:
    import msgspec

    with pytest.raises(base64_stream.Unusual):
        list(base64_stream.decoded(msgspec.Raw(content.encode())))


@pytest.mark.parametrize(
    "model",
    [
        {"type": "notebook"},
        {"type": "file", "format": "base64", "content": "", "chunk": 1},
        {"type": "file", "format": "text"},
        [],
    ],
)
def test_only_whole_files_are_decoded_so(model: Any) -> None:
    raw = json.dumps(model).encode()
    with mmap.mmap(-1, len(raw)) as body:
        body.write(raw)
        assert base64_stream.sketch(body) is None


@pytest.fixture
def manager(root: Path) -> AsyncLargeFileManager:
    return AsyncLargeFileManager(root_dir=str(root))


def test_what_operators_wrote_is_run_here(root: Path, manager: AsyncLargeFileManager) -> None:
    assert can_delegate(manager)
    manager.register_pre_save_hook(print)
    assert not can_delegate(manager)

    class Other(AsyncLargeFileManager):
        pass

    assert not can_delegate(Other(root_dir=str(root)))


def test_the_child_makes_the_same_manager(manager: AsyncLargeFileManager, notebook: Any, tmp_path: Path) -> None:
    manager.notebook_versions, manager.hash_algorithm = 7, "sha512"
    told = json.loads(json.dumps(describe(manager)))
    theirs = manager_of(told)
    assert (theirs.notebook_versions, theirs.hash_algorithm) == (7, "sha512")
    assert theirs.notary.secret == manager.notary.secret
    (tmp_path / "body").write_text(json.dumps({"type": "notebook", "content": notebook("x")}))
    request = {"do": "put", "path": "/a.ipynb", "body": str(tmp_path / "body"), "if_match": None}
    assert answer(theirs, request)["result"]["created"]
    request = {"do": "get", "path": "/a.ipynb", "query": [True, None, None, True], "out": str(tmp_path / "out")}
    assert "result" in answer(theirs, request)
    assert json.loads((tmp_path / "out").read_bytes())["content"]["cells"][0]["source"] == "x"
    wrong = answer(theirs, {"do": "get", "path": "/b", "query": [True, None, None, False], "out": str(tmp_path / "o2")})
    assert wrong["error"]["kind"] == "jupyterd.contents.operations.Missing"
    assert set(OPERATIONS) == {"get", "put", "change"}


@pytest.fixture
def shop(manager: AsyncLargeFileManager) -> Iterator[Worker]:
    shop = Worker(manager)
    yield shop
    shop.close()


def put(shop: Worker, path: str, model: Any) -> dict[str, Any]:
    body = shop.new_path()
    Path(body).write_text(json.dumps(model))
    return shop.do("put", path=path, body=body, if_match=None)


@pytest.mark.real
def test_a_real_child(shop: Worker, root: Path, notebook: Any) -> None:
    assert put(shop, "/a.ipynb", {"type": "notebook", "content": notebook("x")})["created"]
    first = shop._process
    out = shop.new_path()
    head = shop.do("get", path="/a.ipynb", query=[True, None, None, True], out=out)
    assert head["etag"]
    assert json.loads(Path(out).read_bytes())["content"]["cells"][0]["source"] == "x"
    with pytest.raises(Missing):
        shop.do("get", path="/b", query=[True, None, None, False], out=shop.new_path())
    with pytest.raises(Invalid):
        put(shop, "/.hidden", {"type": "file", "format": "text", "content": "x"})
    content = base64.b64encode(os.urandom(3_000_000)).decode()
    put(shop, "/a.bin", {"type": "file", "format": "base64", "content": content})
    assert (root / "a.bin").read_bytes() == base64.b64decode(content)
    assert shop._process is first


@pytest.mark.real
def test_what_was_signed_here_is_trusted_there(shop: Worker, manager: AsyncLargeFileManager, notebook: Any) -> None:
    manager.sign_later = lambda store: None
    nb = notebook("x")
    output = {"output_type": "display_data", "metadata": {}, "data": {"text/html": "<b>"}}
    nb["cells"][0].update(outputs=[output], metadata={"trusted": True})
    manager._save_model({"type": "notebook", "content": nb}, "a.ipynb")
    out = shop.new_path()
    shop.do("get", path="/a.ipynb", query=[True, None, None, False], out=out)
    assert json.loads(Path(out).read_bytes())["content"]["cells"][0]["metadata"] == {"trusted": True}


@pytest.mark.real
def test_a_child_that_was_killed_is_replaced(shop: Worker, root: Path, notebook: Any) -> None:
    put(shop, "/a.ipynb", {"type": "notebook", "content": notebook("x")})
    assert shop._process is not None
    os.kill(shop._process.pid, signal.SIGKILL)
    put(shop, "/a.ipynb", {"type": "notebook", "content": notebook("y")})
    assert "y" in (root / "a.ipynb").read_text()


@pytest.mark.real
def test_an_idle_child_ends(shop: Worker, notebook: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parent, "IDLE", 0.1)
    put(shop, "/a.ipynb", {"type": "notebook", "content": notebook("x")})
    assert shop._process is not None
    assert shop._process.wait(timeout=10) == 0
    put(shop, "/a.ipynb", {"type": "notebook", "content": notebook("y")})


@pytest.mark.real
def test_large_ones_over_http(client: Any, notebook: Callable[..., Any]) -> None:
    nb = notebook(*[os.urandom(60_000).hex() for _ in range(30)])
    try:
        answer = client.put("big.ipynb", {"type": "notebook", "content": nb})
        assert (answer.status, answer.json()["size"] > 3_000_000) == (201, True)
        found = client.ask("GET", "/api/contents/big.ipynb?hash=1")
        assert found.header("etag")
        assert [cell["source"] for cell in found.json()["content"]["cells"]] == [cell["source"] for cell in nb["cells"]]
        assert client.put("big.ipynb", {"type": "notebook", "content": nb}, If_Match='"x"').status == 412
        assert client.contents.worker._process is not None
    finally:
        client.contents.stopService()


def test_what_a_killed_server_worked_on_goes(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = root.parent / "tmp"
    (place / "jupyterd-work-dead").mkdir(parents=True)
    (place / "jupyterd-work-dead" / "body").write_text("x")
    os.utime(place / "jupyterd-work-dead", (0, 0))
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    shop = Worker(AsyncLargeFileManager(root_dir=str(root)))
    Path(shop.new_path()).touch()
    (mine,) = place.iterdir()
    assert len(list(mine.iterdir())) == 1
    shop.close()
    assert list(place.iterdir()) == []
