"""Sessions: created, shared, renamed, moved to another kernel, ended; over HTTP as the reference answers."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from traitlets import TraitError
from twisted.internet.defer import Deferred

from jupyterd.kernels.process.death import Death
from jupyterd.sessions.manager import NoSuchSession, SessionManager, Wanted
from jupyterd.sessions.resource import SessionsResource
from jupyterd.sessions.store import SessionTable
from jupyterd.testing.deferreds import at_once
from jupyterd.testing.http import Answer, MemorySite
from tests.kernels.keeping import Keeping

NONE = "00000000-0000-0000-0000-000000000000"


class Desk:
    """Sessions over kernels in memory, over HTTP."""

    def __init__(self, root: Path, database: str = ":memory:") -> None:
        (root / "sub").mkdir(exist_ok=True)
        self.keeping = Keeping({"MappingKernelManager": {"root_dir": str(root), "startup_check_timeout": 0.0}})
        self.sessions = SessionManager(database_filepath=database)
        self.sessions.serve(kernels=self.keeping.kernels, in_thread=at_once)
        self.site = MemorySite()
        self.site.root.mount("/api/sessions", SessionsResource(self.sessions).app.resource, auth="sessions")

    def ask(self, method: str, path: str = "", body: Any = None, raw: bytes | None = None) -> Answer:
        return self.site.request(method, f"/api/sessions{path}", body=raw, json_body=body)

    def create(self, path: str = "sub/a.ipynb", **more: Any) -> dict[str, Any]:
        answer = self.ask("POST", body={"path": path, "type": "notebook", "name": "", **more})
        assert answer.status == 201
        return dict(answer.json())

    @property
    def kernels(self) -> Any:
        return self.keeping.kernels


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_the_model_is_the_reference_s(desk: Desk) -> None:
    answer = desk.ask(
        "POST", body={"path": "sub/a.ipynb", "type": "notebook", "name": "n", "kernel": {"name": "other"}}
    )
    model = answer.json()
    assert answer.status == 201
    assert answer.header("location") == f"/api/sessions/{model['id']}"
    assert list(model) == ["id", "path", "name", "type", "kernel", "notebook"]
    assert model["notebook"] == {"path": "sub/a.ipynb", "name": "n"}
    assert model["kernel"] == desk.kernels.model(model["kernel"]["id"])
    assert model["kernel"]["name"] == "other"
    assert desk.ask("GET", f"/{model['id']}").json() == model
    assert desk.ask("GET").json() == [model]


def test_only_notebooks_have_the_old_field(desk: Desk) -> None:
    assert "notebook" not in desk.create(type="console")


def test_the_kernel_works_beside_its_document_and_knows_it(desk: Desk, tmp_path: Path) -> None:
    desk.create("sub/a.ipynb", name="a.ipynb")
    order = desk.keeping.process.order
    assert order.cwd == str(tmp_path / "sub")
    assert order.env is not None
    assert order.env["JPY_SESSION_NAME"] == str(tmp_path / "sub" / "a.ipynb")
    assert "PATH" in order.env
    desk.create("sub/b.ipynb", name=None)
    assert desk.keeping.process.env["JPY_SESSION_NAME"] == "sub/b.ipynb"


def test_a_document_has_one_session(desk: Desk) -> None:
    assert desk.create() == desk.create(type="console", kernel={"name": "other"})
    assert len(desk.keeping.launcher.processes) == 1


def test_whoever_asks_at_the_same_time_gets_the_same_one(desk: Desk) -> None:
    holds: list[Deferred[None]] = []

    def wait(process: Any) -> None:
        process.hold = Deferred()
        holds.append(process.hold)

    desk.keeping.launcher.prepare = wait
    found: list[Any] = []
    for path in "aaaaab":
        Deferred.fromCoroutine(desk.sessions.find_or_create(Wanted(path, "notebook"))).addCallback(found.append)
    assert len(holds) == 2
    for hold in holds:
        hold.callback(None)
    assert len(found) == 6
    assert len({model["id"] for model, _ in found}) == 2
    assert sum(is_new for _, is_new in found) == 2, "who ends a kernel because it is its own shares it"
    assert len(desk.sessions._locks) == 0


def test_one_that_could_not_be_created_does_not_keep_the_next(desk: Desk) -> None:
    desk.ask("POST", body={"path": "a", "type": "notebook", "kernel": {"name": "nope"}})
    assert desk.create("a")["path"] == "a"


def test_two_sessions_share_a_kernel_and_the_last_ends_it(desk: Desk) -> None:
    first = desk.create("a")
    second = desk.create("b", kernel={"id": first["kernel"]["id"]})
    assert second["kernel"]["id"] == first["kernel"]["id"]
    assert desk.ask("DELETE", f"/{first['id']}").status == 204
    assert first["kernel"]["id"] in desk.kernels
    assert desk.ask("GET", f"/{second['id']}").status == 200
    assert desk.ask("DELETE", f"/{second['id']}").status == 204
    assert len(desk.kernels) == 0
    assert desk.ask("GET").json() == []


def test_a_kernel_that_is_gone_takes_its_sessions_along(desk: Desk) -> None:
    model = desk.create()
    desk.keeping.do(desk.kernels.shutdown(model["kernel"]["id"]))
    assert desk.ask("GET").json() == []
    model = desk.create()
    desk.keeping.do(desk.kernels.shutdown(model["kernel"]["id"]))
    answer = desk.ask("GET", f"/{model['id']}")
    assert answer.status == 404
    assert "appears to have been culled or died unexpectedly" in answer.json()["message"]
    assert desk.ask("DELETE", f"/{model['id']}").status == 404


def test_a_document_whose_kernel_is_dead_gets_a_new_one(desk: Desk) -> None:
    before = desk.create()
    desk.keeping.process.autorestart = False
    desk.keeping.process.die(Death(-9))
    assert desk.ask("GET", f"/{before['id']}").json()["kernel"]["execution_state"] == "dead"
    assert desk.ask("GET").json() == []
    after = desk.create()
    assert after["kernel"]["id"] != before["kernel"]["id"]
    assert before["kernel"]["id"] not in desk.kernels
    assert len(desk.ask("GET").json()) == 1


def test_a_new_session_may_get_its_document_s_path_later(desk: Desk) -> None:
    before = desk.create()
    desk.keeping.process.autorestart = False
    desk.keeping.process.die(Death(-9))
    after = desk.create("c674e3d5-35d7-4dc4-b2ff-d63e574986c5")
    assert desk.ask("PATCH", f"/{after['id']}", {"path": before["path"]}).status == 200
    assert before["kernel"]["id"] not in desk.kernels
    assert desk.ask("GET", f"/{before['id']}").status == 404
    assert [session["id"] for session in desk.ask("GET").json()] == [after["id"]]


def test_renaming(desk: Desk, tmp_path: Path) -> None:
    model = desk.create(name="a.ipynb")
    renamed = desk.ask("PATCH", f"/{model['id']}", {"path": "sub/c.ipynb", "name": "c.ipynb", "type": "console"})
    assert renamed.status == 200
    assert (renamed.json()["path"], renamed.json()["type"]) == ("sub/c.ipynb", "console")
    assert desk.keeping.process.env["JPY_SESSION_NAME"] == str(tmp_path / "sub" / "c.ipynb")
    old = desk.ask("PATCH", f"/{model['id']}", {"notebook": {"path": "d.ipynb"}}).json()
    assert (old["path"], old["type"]) == ("d.ipynb", "notebook")
    assert desk.ask("PATCH", f"/{model['id']}", {}).json() == old


def test_a_document_that_has_moved_takes_its_kernel_along(desk: Desk, tmp_path: Path) -> None:
    """At the kernel's next start; jupyterlab#3856."""
    (tmp_path / "other").mkdir()
    model = desk.create("sub/a.ipynb")
    desk.ask("PATCH", f"/{model['id']}", body={"name": "again"})
    assert desk.keeping.process.cwd == str(tmp_path / "sub")
    desk.ask("PATCH", f"/{model['id']}", body={"path": "other/a.ipynb"})
    assert desk.keeping.process.cwd == str(tmp_path / "other")
    guest = desk.create("sub/guest.ipynb", kernel={"id": model["kernel"]["id"]})
    desk.ask("PATCH", f"/{guest['id']}", body={"path": "guest.ipynb"})
    assert desk.keeping.process.cwd == str(tmp_path / "other"), "whom the kernel was started for"


def test_another_kernel_by_name_ends_the_old_one(desk: Desk) -> None:
    model = desk.create()
    answer = desk.ask("PATCH", f"/{model['id']}", {"kernel": {"name": "other"}})
    assert answer.status == 200
    assert answer.json()["kernel"]["name"] == "other"
    assert model["kernel"]["id"] not in desk.kernels
    assert desk.keeping.process.order.path == "sub"


def test_another_kernel_by_id_ends_the_old_one_unless_it_is_shared(desk: Desk) -> None:
    first, second = desk.create("a"), desk.create("b")
    third = desk.create("c", kernel={"id": first["kernel"]["id"]})
    moved = desk.ask("PATCH", f"/{first['id']}", {"kernel": {"id": second["kernel"]["id"]}}).json()
    assert moved["kernel"]["id"] == second["kernel"]["id"]
    assert desk.ask("GET", f"/{third['id']}").status == 200


def asked(coroutine: Any) -> list[Any]:
    """What a call gives, or raises, once it does."""
    done: list[Any] = []
    Deferred.fromCoroutine(coroutine).addBoth(done.append)
    return done


def test_the_end_of_a_session_waits_for_its_new_kernel(desk: Desk) -> None:
    """One tab picks another kernel while another tab ends the session: no kernel stays."""
    model = desk.create()
    hold: Deferred[None] = Deferred()
    desk.keeping.launcher.prepare = lambda process: setattr(process, "hold", hold)
    changed = asked(desk.sessions.update(model["id"], {}, "other"))
    ended = asked(desk.sessions.delete(model["id"]))
    assert changed == ended == []
    hold.callback(None)
    assert changed[0]["kernel"]["name"] == "other"
    assert ended == [None]
    assert len(desk.kernels) == 0
    assert desk.ask("GET").json() == []
    assert len(desk.sessions._locks) == 0


def test_a_session_takes_path_and_kernel_of_a_dead_one(desk: Desk) -> None:
    dead = desk.create()
    desk.keeping.process.autorestart = False
    desk.keeping.process.die(Death(-9))
    other = desk.create("b")
    changes = {"path": dead["path"], "kernel": {"id": dead["kernel"]["id"]}}
    assert desk.ask("PATCH", f"/{other['id']}", changes).status == 400
    assert desk.ask("GET", f"/{other['id']}").json() == other


def test_a_session_that_ends_gets_no_new_kernel(desk: Desk) -> None:
    model = desk.create()
    hold: Deferred[None] = Deferred()
    desk.keeping.process.hold = hold
    ended = asked(desk.sessions.delete(model["id"]))
    changed = asked(desk.sessions.update(model["id"], {}, "other"))
    created = asked(desk.sessions.create(Wanted("sub/a.ipynb", "notebook")))
    shared = asked(desk.sessions.create(Wanted("b", "notebook", kernel_id=model["kernel"]["id"])))
    assert ended == changed == created == shared == []
    hold.callback(None)
    assert ended == [None]
    assert isinstance(changed[0].value, NoSuchSession)
    assert created[0]["id"] != model["id"]
    assert {one["id"] for one in desk.ask("GET").json()} == {created[0]["id"], shared[0]["id"]}
    assert len(desk.kernels) == 2


def test_a_kernel_whose_session_is_lost_while_it_starts_ends(desk: Desk) -> None:
    """The session's old kernel is culled meanwhile, and the session with it."""
    model = desk.create()
    hold: Deferred[None] = Deferred()
    desk.keeping.launcher.prepare = lambda process: setattr(process, "hold", hold)
    changed = asked(desk.sessions.update(model["id"], {}, "other"))
    desk.keeping.do(desk.kernels.shutdown(model["kernel"]["id"]))
    assert desk.ask("GET").json() == []
    hold.callback(None)
    assert isinstance(changed[0].value, NoSuchSession)
    assert len(desk.kernels) == 0


def test_a_kernel_whose_session_can_not_be_kept_ends(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    model = desk.create()

    def full(*_: Any) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(SessionTable, "add", full)
    monkeypatch.setattr(SessionTable, "replace", full)
    for kernel in ({}, {"id": NONE}):
        assert desk.ask("POST", body={"path": "b", "type": "notebook", "kernel": kernel}).status == 500
    assert desk.ask("PATCH", f"/{model['id']}", {"kernel": {"name": "other"}}).status == 500
    assert [kernel.id for kernel in desk.kernels] == [model["kernel"]["id"]]


def test_a_session_with_a_new_kernel_is_not_forgotten_for_its_old_one(desk: Desk) -> None:
    """What was read of it before is old."""
    model = desk.create()
    table = desk.sessions._table
    old = table.get(model["id"])
    assert old is not None
    assert desk.ask("PATCH", f"/{model['id']}", {"kernel": {"name": "other"}}).status == 200
    table.remove(old)
    assert desk.ask("GET", f"/{model['id']}").status == 200


@pytest.mark.parametrize(
    ("raw", "status", "message"),
    [
        (b"{", 400, "Invalid JSON in body of request"),
        (b"", 400, "No JSON data provided"),
        (b"null", 400, "No JSON data provided"),
        (b"[]", 400, "The request body must be a JSON object"),
        (b"{}", 400, "Missing field in JSON data: path"),
        (b'{"path":"a"}', 400, "Missing field in JSON data: type"),
        (b'{"type":"notebook"}', 400, "Missing field in JSON data: path"),
        (b'{"path":5,"type":"x"}', 400, "path must be a string"),
        (b'{"path":"\\ud800","type":"x"}', 400, "path holds half of a character"),
        (b'{"path":null,"type":"x"}', 400, "path and type must be strings"),
        (b'{"path":"a","type":{}}', 400, "type must be a string"),
        (b'{"path":"a","type":"x","kernel":5}', 400, "kernel must be a JSON object"),
        (b'{"path":"a","type":"x","kernel":{"name":5}}', 400, "name must be a string"),
        (b'{"path":"a","type":"x","kernel":{"id":"../x"}}', 400, "Not a kernel id: '../x'"),
        (b'{"notebook":5}', 400, "notebook must be a JSON object"),
    ],
)
def test_what_can_not_be_created(desk: Desk, raw: bytes, status: int, message: str) -> None:
    answer = desk.ask("POST", raw=raw)
    assert (answer.status, answer.json()) == (status, {"message": message, "reason": None})
    assert len(desk.kernels) == 0


def test_a_kernel_that_is_not_installed(desk: Desk) -> None:
    answer = desk.ask("POST", body={"path": "a", "type": "notebook", "kernel": {"name": "nope"}})
    assert answer.status == 501
    assert answer.json() == {
        "message": "The 'nope' kernel is not available. Please pick another suitable kernel instead, "
        "or install that kernel.",
        "short_message": "nope not found",
    }


def test_a_kernel_that_does_not_start(desk: Desk) -> None:
    desk.keeping.launcher.prepare = lambda process: setattr(process, "failure", ValueError("no memory"))
    answer = desk.ask("POST", body={"path": "a", "type": "notebook"})
    assert (answer.status, answer.json()) == (500, {"message": "no memory", "reason": None})
    assert desk.ask("GET").json() == []


def test_clients_of_the_first_version(desk: Desk) -> None:
    assert desk.ask("POST", body={"notebook": {"path": "old.ipynb"}}).json()["path"] == "old.ipynb"
    assert desk.ask("POST", body={"notebook": {"name": "older.ipynb"}}).json()["type"] == "notebook"


def test_an_id_for_a_kernel_that_does_not_run_yet(desk: Desk) -> None:
    assert desk.create("a", kernel={"id": NONE})["kernel"]["id"] == NONE


@pytest.mark.parametrize("body", [{"path": "x"}, {"kernel": {"name": "other"}}])
def test_unknown_sessions(desk: Desk, body: dict[str, Any]) -> None:
    expected = {"message": f"Session not found: session_id='{NONE}'", "reason": None}
    for answer in (desk.ask("GET", f"/{NONE}"), desk.ask("DELETE", f"/{NONE}"), desk.ask("PATCH", f"/{NONE}", body)):
        assert (answer.status, answer.json()) == (404, expected)
    assert len(desk.kernels) == 0


def test_changes_that_can_not_be_made(desk: Desk) -> None:
    model = desk.create()
    where = f"/{model['id']}"
    assert desk.ask("PATCH", where, raw=b"{").status == 400
    assert desk.ask("PATCH", where).json()["message"] == "No JSON data provided"
    assert desk.ask("PATCH", where, {"path": 5}).json()["message"] == "path must be a string"
    unknown = desk.ask("PATCH", where, {"kernel": {"id": NONE}})
    assert (unknown.status, unknown.json()["message"]) == (400, f"No such kernel: {NONE}")
    missing = desk.ask("PATCH", where, {"kernel": {"name": "nope"}})
    assert missing.status == 501
    assert missing.json()["short_message"] == "Error starting kernel nope"
    assert desk.ask("GET", where).json() == model


def test_methods(desk: Desk) -> None:
    assert desk.ask("PUT", body={}).status == 405
    assert desk.ask("POST", f"/{NONE}", {}).status == 405


# -- on disk


def test_a_database_file_is_kept_and_its_orphans_are_forgotten(tmp_path: Path) -> None:
    path = str(tmp_path / "sessions.db")
    desk = Desk(tmp_path, path)
    model = desk.create("a")
    desk.sessions.close()
    with sqlite3.connect(path) as connection:
        rows = connection.execute("SELECT session_id, path, name, type, kernel_id FROM session").fetchall()
    assert rows == [(model["id"], "a", "", "notebook", model["kernel"]["id"])]
    assert desk.ask("GET").json() == [model]
    again = Desk(tmp_path, path)
    assert again.ask("GET").json() == []


def test_what_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no database at all")
    (tmp_path / "empty").write_bytes(b"")
    with pytest.raises(TraitError, match="not an SQLite"):
        SessionManager(database_filepath=str(tmp_path / "text"))
    with pytest.raises(TraitError, match="is a directory"):
        SessionManager(database_filepath=str(tmp_path))
    assert SessionManager(database_filepath=str(tmp_path / "empty"))
