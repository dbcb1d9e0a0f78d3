"""Other contents managers: subclasses of ours, classes of another family, synchronous and asynchronous."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path
from threading import current_thread, main_thread
from typing import Any

import pytest
import pytest_twisted
from tornado.web import HTTPError
from traitlets import TraitError

from jupyterd.compat.module_shims import MODULES, standins
from jupyterd.contents import operations
from jupyterd.contents.event_queue import EventQueue
from jupyterd.contents.managers.filemanager import AsyncFileContentsManager, FileContentsManager
from jupyterd.contents.managers.foreign import LargeFileManager as KnownLargeFileManager
from jupyterd.contents.managers.foreign import on_ours
from jupyterd.contents.managers.largefilemanager import AsyncLargeFileManager, LargeFileManager
from jupyterd.contents.managers.manager import AsyncContentsManager, ContentsManager
from jupyterd.contents.managers.sync_or_async import at_once, settled
from jupyterd.contents.models import moment
from jupyterd.contents.service import Contents, is_asynchronous
from jupyterd.contents.thread_pools import ThreadPools
from jupyterd.errors import JupyterdError, NotFound
from jupyterd.testing.deferreds import at_once as in_no_thread


def model_of(path: str, content: Any = None) -> dict[str, Any]:
    stamp = moment(0)
    return {
        "name": path.split("/")[-1], "path": path, "type": "file", "writable": True, "created": stamp,
        "last_modified": stamp, "mimetype": None, "content": content, "format": None if content is None else "text",
    }  # fmt: skip


class InMemory(ContentsManager):
    """As one would write a manager of files in a database."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.files: dict[str, str] = {"old.txt": "old"}

    def dir_exists(self, path: str) -> bool:
        return path.strip("/") == ""

    def file_exists(self, path: str) -> bool:
        return path.strip("/") in self.files

    def is_hidden(self, path: str) -> bool:
        return "/." in path

    def get(self, path: str, content: bool = True, type: Any = None, format: Any = None) -> Any:  # no require_hash
        path = path.strip("/")
        if path == "teapot":
            raise HTTPError(418, "short and stout", reason="teapot")
        if path not in self.files:
            raise HTTPError(404, "nothing here")
        return model_of(path, self.files[path] if content else None)

    def save(self, model: Any, path: str) -> Any:
        self.run_pre_save_hooks(model=model, path=path)
        self.files[path.strip("/")] = model["content"]
        return self.get(path, content=False)

    def delete_file(self, path: str) -> None:
        del self.files[path.strip("/")]

    def rename_file(self, old_path: str, new_path: str) -> None:
        self.files[new_path.strip("/")] = self.files.pop(old_path.strip("/"))


class NoCheckpoints:
    def list_checkpoints(self, path: str) -> list[Any]:
        return []

    def rename_all_checkpoints(self, old: str, new: str) -> None: ...

    def delete_all_checkpoints(self, path: str) -> None: ...


def test_a_manager_of_its_own_kind(make_client: Callable[..., Any]) -> None:
    manager = InMemory(checkpoints=NoCheckpoints())
    events: list[Any] = []
    manager.emitter = events.append
    client = make_client(manager)
    assert client.get("old.txt?hash=1")["content"] == "old"
    assert client.put("new.txt", {"type": "file", "format": "text", "content": "x"}).status == 201
    assert client.ask("POST", "/api/contents", {"copy_from": "new.txt"}).json()["path"] == "new-Copy1.txt"
    assert client.ask("PATCH", "/api/contents/new.txt", {"path": "newer.txt"}).status == 200
    assert client.ask("DELETE", "/api/contents/old.txt").status == 204
    assert client.ask("GET", "/api/contents/old.txt").status == 404
    answer = client.ask("GET", "/api/contents/teapot")
    assert (answer.status, answer.json()) == (418, {"message": "short and stout", "reason": "teapot"})
    assert client.ask("GET", "/files/newer.txt").body == b"x"
    assert client.site.request("PUT", "/files/z", b"z").status == 501
    assert sorted(manager.files) == ["new-Copy1.txt", "newer.txt"]
    assert [event["action"] for event in events] == ["copy", "rename", "delete"]


class Asynchronous(AsyncContentsManager):
    """Its methods wait, and look where they are."""

    threads: set[Any] = set()

    async def dir_exists(self, path: str) -> bool:
        return path.strip("/") == ""

    async def file_exists(self, path: str) -> bool:
        await asyncio.sleep(0)
        return path.strip("/") == "a"

    async def is_hidden(self, path: str) -> bool:
        return False

    async def get(
        self, path: str, content: bool = True, type: Any = None, format: Any = None, require_hash: bool = False
    ) -> Any:
        await asyncio.sleep(0.001)
        self.threads.add(current_thread())
        if path.strip("/") != "a":
            raise HTTPError(404)
        return model_of("a", "text" if content else None)

    async def save(self, model: Any, path: str) -> Any:
        return await self.get(path, content=False)


@pytest_twisted.ensureDeferred
async def test_an_asynchronous_manager_runs_off_the_reactor() -> None:
    from twisted.internet import reactor

    manager = Asynchronous()
    assert is_asynchronous(manager)
    contents = Contents(reactor, manager, ThreadPools.one(in_no_thread), EventQueue(reactor, lambda data: None))
    try:
        answer = await contents.run(operations.get, "/a", operations.Query())
        assert b'"text"' in answer.body
        with pytest.raises(operations.Missing):
            await contents.run(operations.get, "/b", operations.Query())
        answer = await contents.put("/a", b'{"type": "file", "format": "text", "content": "x"}', None)
        assert not answer.created
        assert main_thread() not in manager.threads
    finally:
        contents.stopService()


@pytest_twisted.ensureDeferred
async def test_the_built_in_asynchronous_ones_can_be_awaited(root: Path) -> None:
    from jupyterd.system.asyncio_bridge import from_asyncio

    manager = AsyncLargeFileManager(root_dir=str(root), delete_to_trash=False)
    await from_asyncio(manager.save({"type": "file", "format": "text", "content": "x"}, "a.txt"))
    assert (await from_asyncio(manager.get("a.txt")))["content"] == "x"
    assert (await from_asyncio(manager.copy("a.txt")))["path"] == "a-Copy1.txt"
    await from_asyncio(manager.rename("a.txt", "b.txt"))
    await from_asyncio(manager.delete("b.txt"))
    assert not await from_asyncio(manager.file_exists("b.txt"))
    assert not is_asynchronous(manager)


class Shouting(AsyncFileContentsManager):
    def save(self, model: Any, path: str = "") -> Any:
        if model.get("content"):
            model["content"] = model["content"].upper()
        return super().save(model, path)


def test_a_subclass_of_ours_is_asked(make_client: Callable[..., Any], root: Path) -> None:
    client = make_client(Shouting(root_dir=str(root)))
    assert client.put("a.txt", {"type": "file", "format": "text", "content": "loud"}).status == 201
    assert (root / "a.txt").read_text() == "LOUD"


def test_hooks(make_client: Callable[..., Any], root: Path) -> None:
    after: list[Any] = []

    def before(model: Any, path: str, contents_manager: Any) -> None:
        if "refused" in path:
            raise HTTPError(403, "not here")
        if "broken" in path:
            raise ZeroDivisionError
        model["content"] += "!"

    def later(os_path: str, model: Any, contents_manager: Any) -> None:
        after.append((os_path, model["path"]))
        if "sorry" in os_path:
            raise ZeroDivisionError("oops")

    client = make_client(pre_save_hook=before, post_save_hook=later)

    def put(path: str) -> Any:
        return client.put(path, {"type": "file", "format": "text", "content": "x"})

    assert put("a.txt").status == 201
    assert (root / "a.txt").read_text() == "x!"
    assert put("refused.txt").json()["message"] == "not here"
    assert put("broken.txt").status == 201
    assert (root / "broken.txt").read_text() == "x"
    assert put("sorry.txt").json()["message"] == "Unexpected error while running post hook save: oops"
    assert (str(root / "a.txt"), "a.txt") in after
    assert (root / "sorry.txt").exists()


def test_hooks_by_name_and_registered() -> None:
    manager = FileContentsManager(root_dir="/", pre_save_hook="os.path.join")
    assert callable(manager.pre_save_hook)
    manager.register_post_save_hook("os.path.exists")
    assert len(manager.post_save_hooks) == 1
    with pytest.raises(TraitError):
        FileContentsManager(root_dir="/", pre_save_hook=5)
    with pytest.raises(RuntimeError):
        manager.register_pre_save_hook(5)


class Literate(FileContentsManager):
    """Sees a notebook in any Python file, and hides one name as others may delete a file."""

    def get(self, path: str, content: bool = True, *args: Any, **kwargs: Any) -> Any:
        return literate(path, super().get(path, content, *args, **kwargs))


class AsyncLiterate(AsyncFileContentsManager):
    """The same."""

    async def get(self, path: str, content: bool = True, *args: Any, **kwargs: Any) -> Any:
        return literate(path, await super().get(path, content, *args, **kwargs))


def literate(path: str, model: Any) -> Any:
    if path.endswith("gone.py"):
        raise HTTPError(404, "gone")
    return {**model, "type": "notebook"} if path.endswith(".py") else model


def test_listings_and_saves_tell_what_a_subclass_sees_in_a_file(make_client: Callable[..., Any], root: Path) -> None:
    client = make_client(Literate(root_dir=str(root)))
    (root / "gone.py").touch()
    (root / "a.txt").touch()
    saved = client.put("b.py", {"type": "file", "format": "text", "content": "x"})
    assert (saved.status, saved.json()["type"], saved.json()["content"]) == (201, "notebook", None)
    listed = {entry["name"]: entry["type"] for entry in client.get("")["content"]}
    assert listed == {"a.txt": "file", "b.py": "notebook"}


@pytest_twisted.ensureDeferred
async def test_an_asynchronous_subclass_is_asked_too(root: Path) -> None:
    from twisted.internet import reactor

    (root / "gone.py").touch()
    manager = AsyncLiterate(root_dir=str(root))
    contents = Contents(reactor, manager, ThreadPools.one(in_no_thread), EventQueue(reactor, lambda data: None))  # type: ignore[arg-type]
    try:
        saved = await contents.put("/b.py", b'{"type": "file", "format": "text", "content": "x"}', None)
        assert b'"type": "notebook"' in saved.body
        listing = await contents.run(operations.get, "/", operations.Query())
        assert [entry["type"] for entry in json.loads(listing.body)["content"]] == ["notebook"]
    finally:
        contents.stopService()


def test_jupytext_builds_on_ours(make_client: Callable[..., Any], root: Path) -> None:
    import jupytext

    kind = on_ours(jupytext.TextFileContentsManager)
    assert issubclass(kind, LargeFileManager)
    client = make_client(kind(root_dir=str(root)))
    (root / "a.py").write_text("# # Title\n\n# +\nx = 1\n")
    (root / "b.md").write_text("# Title\n\n```python\n1 + 1\n```\n")
    model = client.get("a.py?type=notebook")
    assert [cell["source"] for cell in model["content"]["cells"]] == ["# Title", "x = 1"]
    model["content"]["cells"][1]["source"] = "x = 2"
    saved = client.put("a.py", {"type": "notebook", "format": "json", "content": model["content"]})
    assert (saved.status, saved.json()["type"]) == (200, "notebook")
    assert {entry["type"] for entry in client.get("")["content"]} == {"notebook"}
    assert "x = 2" in (root / "a.py").read_text()
    assert client.get("b.md?type=notebook")["content"]["cells"][1]["source"] == "1 + 1"
    assert client.ask("GET", "/api/contents/c.py").status == 404


def test_code_written_for_the_other_server_gets_its_errors(root: Path) -> None:
    manager = KnownLargeFileManager(root_dir=str(root))
    with pytest.raises(HTTPError) as caught:
        manager.get("nope")
    assert caught.value.status_code == 404
    with pytest.raises(NotFound):
        LargeFileManager(root_dir=str(root)).get("nope")
    assert type(manager).__name__ == "LargeFileManager"


def test_its_names_stand_in_where_it_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(sys.modules):
        if name.partition(".")[0] == "jupyter_server":
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr("jupyterd.compat.module_shims.find_spec", lambda name: None)
    monkeypatch.setattr(sys, "path", [])
    sys.path_importer_cache.clear()
    with standins():
        from jupyter_server.services.contents.largefilemanager import LargeFileManager as Found

        assert issubclass(Found, LargeFileManager)
        with pytest.raises(ImportError):
            import jupyter_server.serverapp  # noqa: F401
    assert not any(name in sys.modules for name in MODULES)


def test_settings_are_checked(root: Path) -> None:
    with pytest.raises(TraitError):
        FileContentsManager(root_dir=str(root / "nope"))
    with pytest.raises(TraitError):
        FileContentsManager(root_dir=str(root), preferred_dir="nope")
    (root / "d").mkdir()
    assert FileContentsManager(root_dir=str(root), preferred_dir=str(root / "d")).preferred_dir == "d"
    name = "jupyter_server.services.contents.filecheckpoints.GenericFileCheckpoints"
    manager = FileContentsManager(root_dir=str(root), checkpoints_class=name)
    assert type(manager.checkpoints).__name__ == "GenericFileCheckpoints"


def test_generic_checkpoints(root: Path, notebook: Callable[..., Any]) -> None:
    from jupyterd.contents.managers.checkpoints import GenericFileCheckpoints

    manager = FileContentsManager(root_dir=str(root), checkpoints_class=GenericFileCheckpoints)
    for path, old, new in (
        (
            "a.txt",
            {"type": "file", "format": "text", "content": "old"},
            {"type": "file", "format": "text", "content": "new"},
        ),
        ("a.ipynb", {"type": "notebook", "content": notebook("old")}, {"type": "notebook", "content": notebook("new")}),
    ):
        manager.save(old, path)
        made = manager.create_checkpoint(path)
        manager.save(new, path)
        manager.restore_checkpoint(made["id"], path)
        assert "old" in (root / path).read_text()


def test_a_coroutine_where_none_is_expected_is_a_defect() -> None:
    async def waits() -> None:
        await asyncio.sleep(0)

    async def works() -> int:
        return await settled(5)

    assert at_once(works()) == 5
    with pytest.raises(RuntimeError):
        at_once(waits())
    assert issubclass(NotFound, JupyterdError)
