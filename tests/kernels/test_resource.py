"""``/api/kernels`` as clients of the reference know it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jupyterd.errors import Failed
from jupyterd.kernels.process.death import Death
from jupyterd.kernels.resource import KernelsResource
from jupyterd.testing.http import Answer, MemorySite
from tests.kernels.keeping import Keeping

NONE = "00000000-0000-0000-0000-000000000000"


class Desk:
    """Kernels in memory, over HTTP."""

    def __init__(self, root: Path) -> None:
        self.keeping = Keeping({"MappingKernelManager": {"root_dir": str(root), "startup_check_timeout": 0.0}})
        self.site = MemorySite()
        self.wanted: set[str] = set()
        resource = KernelsResource(self.keeping.kernels, self._wanted)
        self.site.root.mount("/api/kernels", resource.app.resource, auth="kernels")

    async def _wanted(self) -> set[str]:
        return self.wanted

    def ask(self, method: str, path: str = "", body: Any = None, raw: bytes | None = None) -> Answer:
        return self.site.request(method, f"/api/kernels{path}", body=raw, json_body=body)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.mark.parametrize("raw", [None, b"", b"null", b"{}", b'{"name":null}', b'{"name":"python3"}'])
def test_a_kernel_is_started_and_shown(desk: Desk, raw: bytes | None) -> None:
    answer = desk.ask("POST", raw=raw)
    model = answer.json()
    assert answer.status == 201
    assert answer.header("location") == f"/api/kernels/{model['id']}"
    assert answer.header("content-type") == "application/json"
    assert list(model) == ["id", "name", "last_activity", "execution_state", "connections"]
    assert desk.ask("GET", f"/{model['id']}").json() == model
    assert desk.ask("GET").json() == [model]


def test_an_id_may_be_given_and_asked_for_again(desk: Desk) -> None:
    first, second = (desk.ask("POST", body={"kernel_id": NONE}) for _ in range(2))
    assert (first.status, second.status) == (201, 201)
    assert first.json() == second.json()


def test_the_directory_is_that_of_the_path(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for path, cwd in (("sub", "sub"), ("/sub/", "sub"), ("sub/a.ipynb", "sub"), ("x/y", ""), ("../..", ""), ("", "")):
        desk.ask("POST", body={"path": path})
        assert desk.keeping.process.order.cwd == str(tmp_path / cwd)
    desk.ask("POST")
    assert desk.keeping.process.order.cwd is None


@pytest.mark.parametrize(
    ("raw", "status", "message"),
    [
        (b"{", 400, "Invalid JSON in body of request"),
        (b"[]", 400, "The request body must be a JSON object"),
        (b'{"name":5}', 400, "name must be a string"),
        (b'{"kernel_id":5}', 400, "kernel_id must be a string"),
        (b'{"kernel_id":"../x"}', 400, "Not a kernel id: '../x'"),
        (b'{"name":"nope"}', 500, "Kernel spec nope not found"),
    ],
)
def test_what_can_not_be_started(desk: Desk, raw: bytes, status: int, message: str) -> None:
    answer = desk.ask("POST", raw=raw)
    assert (answer.status, answer.json()) == (status, {"message": message, "reason": None})
    assert desk.ask("GET").json() == []


def test_a_kernel_that_can_not_be_run(desk: Desk) -> None:
    desk.keeping.launcher.prepare = lambda process: setattr(process, "failure", Failed("No such file"))
    answer = desk.ask("POST")
    assert (answer.status, answer.json()["message"]) == (500, "No such file")


def test_interrupt_restart_and_shut_down(desk: Desk) -> None:
    model = desk.ask("POST").json()
    where = f"/{model['id']}"
    interrupted = desk.ask("POST", f"{where}/interrupt")
    assert (interrupted.status, interrupted.body) == (204, b"")
    restarted = desk.ask("POST", f"{where}/restart", raw=b"{not read")
    assert (restarted.status, restarted.json()["id"]) == (200, model["id"])
    ended = desk.ask("DELETE", where)
    assert (ended.status, ended.body) == (204, b"")
    assert desk.keeping.process.calls == ["start", "interrupt", "restart", "stop"]


def test_dead_kernels_are_listed_for_who_asks_and_where_a_session_has_them(desk: Desk) -> None:
    living = desk.ask("POST").json()["id"]
    dead = desk.ask("POST").json()["id"]
    desk.keeping.process.autorestart = False
    desk.keeping.process.die(Death(-9))

    def listed(query: str = "") -> set[str]:
        return {model["id"] for model in desk.ask("GET", query).json()}

    assert listed() == listed("?dead=0") == {living}
    assert listed("?dead=1") == listed("?dead=true") == {living, dead}
    assert desk.ask("GET", f"/{dead}").json()["execution_state"] == "dead"
    assert [kernel.id for kernel in desk.keeping.kernels.living()] == [living]
    assert sum(desk.keeping.kernels.running().values()) == 1
    desk.wanted.add(dead)
    assert listed() == {living, dead}
    assert desk.ask("POST", f"/{dead}/restart").status == 200
    desk.wanted.clear()
    assert listed() == {living, dead}


def test_unknown_kernels(desk: Desk) -> None:
    missing = {"message": f"Kernel does not exist: {NONE}", "reason": None}
    for answer in (
        desk.ask("GET", f"/{NONE}"),
        desk.ask("DELETE", f"/{NONE}"),
        desk.ask("POST", f"/{NONE}/interrupt"),
    ):
        assert (answer.status, answer.json()) == (404, missing)
    restart = desk.ask("POST", f"/{NONE}/restart")
    assert (restart.status, restart.json()["message"]) == (500, "Exception restarting kernel")
    assert desk.ask("POST", "/x/restart").status == 404


def test_methods_and_actions(desk: Desk) -> None:
    kernel_id = desk.ask("POST").json()["id"]
    assert desk.ask("PUT", body={}).status == 405
    assert desk.ask("GET", f"/{kernel_id}/interrupt").status == 405
    assert desk.ask("POST", f"/{kernel_id}/explode").status == 404
