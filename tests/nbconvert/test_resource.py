"""Conversions: what is asked of the child process, what becomes of its answers."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from types import SimpleNamespace
from typing import Any

import pytest
from traitlets.config import Config
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from jupyterd.errors import NotFound, TimedOut, TooLarge
from jupyterd.nbconvert import converter, formats
from jupyterd.nbconvert.converter import Converter, plain
from jupyterd.nbconvert.formats import Formats
from jupyterd.nbconvert.resource import NbconvertResource
from jupyterd.system.child_process import ChildFailed, run_module
from jupyterd.testing.deferreds import at_once, result_of
from jupyterd.testing.http import MemorySite
from jupyterd.web.root import Root
from tests.memory_children import Child, ChildReactor

NOTEBOOK = {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
MODIFIED = datetime(2026, 3, 7, 10, 0, tzinfo=timezone.utc)


class Contents:
    def __init__(self) -> None:
        self.manager = SimpleNamespace(get=self.get, _get_os_path=lambda path: f"/root/{path}")

    def get(self, path: str, content: bool) -> dict[str, Any]:
        if path not in ("dir/n.ipynb", "t.txt"):
            raise NotFound(path)
        kind = "notebook" if path.endswith(".ipynb") else "file"
        return {"name": path.rpartition("/")[2], "type": kind, "content": NOTEBOOK, "last_modified": MODIFIED}

    def ask(self, operation: Any, *args: Any) -> Any:
        return Deferred.fromCoroutine(operation(self.manager, *args))


class House:
    def __init__(self, policy: str | None = None, config: Config | None = None) -> None:
        self.reactor = ChildReactor()
        self.reactor.reply = self.answer
        self.head = {"media_type": "text/html", "extension": ".html"}
        self.body = b"<p>converted</p>"
        root = Root()
        resource = NbconvertResource(
            Formats(self.reactor, at_once),
            Converter(self.reactor, at_once, config or Config()),
            Contents,  # type: ignore[arg-type]
            policy,
        ).app.resource()
        root.mount("/api/nbconvert", lambda: resource, auth="nbconvert")
        root.mount("/nbconvert", lambda: resource, auth="nbconvert", page=True, untrusted=True)
        self.site = MemorySite(root, reactor=self.reactor)

    def answer(self, child: Child) -> None:
        child.answer(json.dumps(self.head).encode() + b"\n" + self.body)

    @property
    def asked(self) -> Any:
        return json.loads(self.reactor.children[-1].input)


def test_the_formats_of_nbconvert_are_known_without_asking() -> None:
    house = House()
    found = house.site.request("GET", "/api/nbconvert").json()
    assert found["html"] == {"output_mimetype": "text/html"}
    assert found["script"] == {"output_mimetype": ""}
    assert {"asciidoc", "custom", "latex", "markdown", "notebook", "pdf", "python", "rst", "slides", "webpdf"} <= set(
        found
    )
    assert house.reactor.children == []


def test_other_exporters_are_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    installed = {"html": "nbconvert.exporters:HTMLExporter", "mine": "my.package:Mine", "broken": "my.package:Broken"}
    monkeypatch.setattr(formats, "exporters", lambda: installed)
    house = House()
    house.reactor.reply = lambda child: child.answer(b'{"mine": "text/mine"}')
    expected = {"html": {"output_mimetype": "text/html"}, "mine": {"output_mimetype": "text/mine"}}
    for _ in range(2):
        assert house.site.request("GET", "/api/nbconvert").json() == expected
    assert len(house.reactor.children) == 1


def test_a_notebook_of_the_contents() -> None:
    house = House()
    answer = house.site.request("GET", "/nbconvert/html/dir/n.ipynb")
    assert (answer.status, answer.body) == (200, b"<p>converted</p>")
    assert answer.header("content-type") == "text/html; charset=utf-8"
    assert answer.header("last-modified") == "Sat, 07 Mar 2026 10:00:00 GMT"
    assert answer.header("cache-control") == "no-store, no-cache, must-revalidate, max-age=0"
    assert answer.header("content-disposition") is None
    assert house.asked["notebook"] == NOTEBOOK
    assert house.asked["resources"]["metadata"] == {"name": "n", "modified_date": "March 7, 2026", "path": "/root/dir"}
    assert house.asked["sanitize"] is None
    assert house.reactor.children[-1].command[-1] == "jupyterd.nbconvert.child"


def test_downloads_and_sanitizing() -> None:
    house = House()
    answer = house.site.request("GET", "/nbconvert/html/dir/n.ipynb?download=true&sanitize_html=True")
    assert answer.header("content-disposition") == "attachment; filename*=utf-8''n.html"
    assert house.asked["sanitize"] is True


def test_a_notebook_of_the_request() -> None:
    house = House()
    answer = house.site.request("POST", "/nbconvert/latex", json_body={"name": "ä.ipynb", "content": NOTEBOOK})
    assert (answer.status, answer.body, answer.header("content-disposition")) == (200, b"<p>converted</p>", None)
    assert house.asked["resources"]["metadata"] == {"name": "ä"}


def test_an_archive_of_the_request() -> None:
    house = House()
    house.head = {"media_type": "application/zip", "extension": ".zip"}
    house.body = b"PK\x03\x04\n\xff"
    answer = house.site.request("POST", "/nbconvert/latex", json_body={"name": "ä.ipynb", "content": NOTEBOOK})
    assert (answer.status, answer.body) == (200, house.body)
    assert answer.header("content-type") == "application/zip"
    assert answer.header("cache-control") == "no-store, no-cache, must-revalidate, max-age=0"
    assert answer.header("content-disposition") == "attachment; filename*=utf-8''%C3%A4.zip"


def test_the_sandbox_may_be_taken_off() -> None:
    answer = House("frame-ancestors 'self'").site.request("GET", "/nbconvert/html/dir/n.ipynb")
    assert answer.header("content-security-policy") == "frame-ancestors 'self'"


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/nbconvert/nope/dir/n.ipynb", None, 404),
        ("GET", "/nbconvert/html/nope.ipynb", None, 404),
        ("POST", "/nbconvert/nope", b'{"content": {}}', 404),
        ("POST", "/nbconvert/html", b"{}", 400),
        ("POST", "/nbconvert/html", b"[]", 400),
        ("POST", "/nbconvert/html", b'{"content": {}, "name": 3}', 400),
        ("POST", "/nbconvert/html", b"{", 400),
        ("POST", "/nbconvert/html", None, 400),
    ],
)
def test_bad_requests_start_no_process(method: str, path: str, body: bytes | None, status: int) -> None:
    house = House()
    assert house.site.request(method, path, body).status == status
    assert house.reactor.children == []


def test_other_files_lead_to_their_download() -> None:
    answer = House().site.request("GET", "/nbconvert/html/t.txt")
    assert (answer.status, answer.header("location")) == (302, "/files/t.txt")


def test_a_failure_is_told_without_its_traceback() -> None:
    house = House()
    house.reactor.reply = lambda child: child.fail(b"Traceback: secret\n  line\nOSError: xelatex not found on PATH\n")
    answer = house.site.request("GET", "/nbconvert/pdf/dir/n.ipynb")
    assert answer.status == 500
    assert b"nbconvert failed: OSError: xelatex not found on PATH" in answer.body
    assert b"secret" not in answer.body


def test_a_client_that_leaves_ends_the_conversion() -> None:
    house = House()
    house.reactor.reply = None
    connection = house.site.connect()
    connection.send(b"GET /nbconvert/html/dir/n.ipynb HTTP/1.1\r\nHost: x\r\n\r\n")
    (child,) = house.reactor.children
    assert not child.killed
    from twisted.internet.error import ConnectionDone

    connection.protocol.connectionLost(Failure(ConnectionDone()))
    assert child.killed
    assert "_overdue" not in str(house.reactor.getDelayedCalls())


def test_a_few_at_a_time() -> None:
    house = House()
    house.reactor.reply = None
    connections = [house.site.connect() for _ in range(3)]
    for connection in connections:
        connection.send(b"GET /nbconvert/html/dir/n.ipynb HTTP/1.1\r\nHost: x\r\n\r\n")
    assert len(house.reactor.children) == converter.AT_ONCE
    house.answer(house.reactor.children[0])
    assert len(house.reactor.children) == 3


def test_exporters_get_their_settings_and_no_secrets() -> None:
    config = Config(
        {
            "HTMLExporter": {"exclude_input": True, "filters": {"f": len}},
            "IdentityProvider": {"token": "secret"},
            "PasswordIdentityProvider": {"hashed_password": "secret"},
            "ServerApp": {"token": "secret"},
        }
    )
    assert plain(config) == {"HTMLExporter": {"exclude_input": True}}


# -- child processes


def test_a_child_that_takes_too_long_is_ended() -> None:
    reactor = ChildReactor()
    failures: list[Any] = []
    run_module(reactor, "x", timeout=10).addErrback(failures.append)
    reactor.advance(10)
    assert reactor.children[0].killed
    assert failures[0].check(TimedOut)


def test_a_child_that_says_too_much_is_ended() -> None:
    reactor = ChildReactor()
    failures: list[Any] = []
    run_module(reactor, "x", timeout=10, limit=5).addErrback(failures.append)
    reactor.children[0].protocol.outReceived(b"123456")
    assert reactor.children[0].killed
    assert failures[0].check(TooLarge)
    assert reactor.getDelayedCalls() == []


def test_a_child_that_dies_without_a_word() -> None:
    reactor = ChildReactor()
    failures: list[Any] = []
    run_module(reactor, "x", timeout=10).addErrback(failures.append)
    reactor.children[0].fail(b"")
    assert failures[0].check(ChildFailed)
    assert reactor.getDelayedCalls() == []


def test_a_child_that_does_its_work() -> None:
    reactor = ChildReactor()
    reactor.reply = lambda child: child.answer(b"done")
    assert result_of(run_module(reactor, "x", b"in", timeout=10)) == b"done"
    assert reactor.children[0].input == b"in"
