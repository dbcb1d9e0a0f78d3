"""The JSON glue: values, statuses and errors as clients see them."""

import errno
import os

import pytest
from twisted.internet.defer import Deferred

from jupyterd.errors import NotFound, shortage
from jupyterd.testing.http import MemorySite
from jupyterd.web.api import Routes, json_api
from jupyterd.web.call import Call, Reply
from jupyterd.web.errors import describe
from jupyterd.web.root import Root


class Things:
    app = Routes()
    api = json_api(app)

    def __init__(self) -> None:
        self.gate: Deferred[None] = Deferred()
        self.finished: list[str] = []

    @api("GET", "/api/things")
    async def all(self, call: Call) -> object:
        return [call.path, call.arg("x")]

    @api("POST", "/api/things", status=201)
    async def make(self, call: Call) -> object:
        return await call.json()

    @api("DELETE", "/api/things/<name>", status=204)
    async def delete(self, call: Call, name: str) -> None:
        if name == "slow":
            await self.gate
        if name == "none":
            raise NotFound("No such thing: none")
        if name == "defect":
            raise RuntimeError("secret")
        self.finished.append(name)

    @api("GET", "/api/things/<path:path>/raw")
    async def raw(self, call: Call, path: str) -> object:
        return Reply(path.encode(), "text/plain")


def site(things: Things | None = None) -> MemorySite:
    root = Root("/")
    resource = (things or Things()).app.resource()
    root.mount("/api/things", lambda: resource, auth="things")
    return MemorySite(root)


def test_values_become_json() -> None:
    answer = site().request("GET", "/api/things?x=1&x=2")
    assert (answer.status, answer.json()) == (200, ["/api/things", "2"])
    assert answer.header("content-type") == "application/json"
    assert site().request("POST", "/api/things", json_body={"a": 1}).status == 201
    assert site().request("POST", "/api/things").json() is None
    assert site().request("DELETE", "/api/things/x").body == b""


def test_a_path_may_hold_anything() -> None:
    for name in ("a/b", "new%0Aline", "%0A"):
        assert site().request("GET", f"/api/things/{name}/raw").body == name.replace("%0A", "\n").encode()


def test_errors_are_the_references_json() -> None:
    assert site().request("DELETE", "/api/things/none").json() == {"message": "No such thing: none", "reason": None}
    answer = site().request("PUT", "/api/things")
    assert (answer.status, answer.json()) == (405, {"message": "Method Not Allowed", "reason": None})
    answer = site().request("GET", "/api/things/a/b")
    assert (answer.status, answer.json()["message"]) == (404, "Not Found")
    answer = site().request("POST", "/api/things", b"{not json")
    assert (answer.status, answer.json()["message"]) == (400, "Invalid JSON in body of request")
    assert site().request("GET", "/api/none").status == 404


def test_a_client_that_leaves_does_not_stop_the_work() -> None:
    things = Things()
    memory = site(things)
    connection = memory.connect()
    connection.send(b"DELETE /api/things/slow HTTP/1.1\r\nHost: x\r\n\r\n")
    from twisted.internet.error import ConnectionDone
    from twisted.python.failure import Failure

    connection.protocol.connectionLost(Failure(ConnectionDone()))
    things.gate.callback(None)
    assert things.finished == ["slow"]


def test_a_path_converter_sees_decoded_slashes() -> None:
    assert site().request("GET", "/api/things/a%2Fb//c/raw").body == b"a/b//c"


def test_connection_is_reused() -> None:
    connection = site().connect()
    connection.send(b"GET /api/things HTTP/1.1\r\nHost: x\r\n\r\nGET /api/things?x=3 HTTP/1.1\r\nHost: x\r\n\r\n")
    assert connection.received().count(b"200 OK") == 2


def test_no_value_changes_on_its_way() -> None:
    for text in (b"123456789012345678901234567890", b'"\\ud800"', b"[1.5, null, {}]"):
        assert site().request("POST", "/api/things", text).body == text.replace(b", ", b",")
    assert site().request("POST", "/api/things", b"[" * 100_000).status == 400


def test_bodies_that_are_not_utf8_are_not_json() -> None:
    for body in (b"\xff", b'"\xff"', b'{"\xff": 1}', b'{"a\xff\xff": "\xff"}', b'{"a": "' + b"x" * 70_000 + b'\xff"}'):
        answer = site().request("POST", "/api/things", body)
        assert (answer.status, answer.json()["message"]) == (400, "Invalid JSON in body of request")


@pytest.mark.parametrize(("number", "status"), [("ENOSPC", 507), ("EDQUOT", 507), ("EAGAIN", 503), ("EMFILE", 503)])
def test_what_the_system_has_too_little_of_is_told_by_its_name(number: str, status: int) -> None:
    error = OSError(getattr(errno, number), os.strerror(getattr(errno, number)))
    kind = shortage(error.errno)
    assert kind is not None
    described = describe(error)
    assert described is not None
    assert described[0] == status
    assert describe(kind("x")) == (status, "x", None)
    assert shortage(errno.ENOENT) is None
    assert describe(FileNotFoundError(errno.ENOENT, "none")) is None


def test_the_url_of_a_route_is_built_when_it_is_asked_for() -> None:
    urls = Things.app.url_map.bind("localhost")
    assert (
        urls.build("raw /api/things/<path:path>/raw GET", {"path": "a b", "rule": 1}) == "/api/things/a%20b/raw?rule=1"
    )
