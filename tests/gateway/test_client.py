"""Requests to the gateway: what they show, how long and large they may be, what their failures become."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, DNSLookupError
from twisted.internet.error import ConnectionRefusedError as Refused
from twisted.python.failure import Failure
from twisted.web.client import CookieAgent, RequestTransmissionFailed, ResponseFailed

from jupyterd.errors import NotFound, TimedOut, Unavailable, Upstream
from jupyterd.web.errors import describe
from tests.gateway.theirs import Kit, Response, TheirAPI, said


def shown(**traits: Any) -> dict[str, str]:
    """The headers that a request shows."""
    kit = Kit(**traits)
    kit.ask("GET", "/api/kernels")
    return {name.lower(): value for name, value in kit.api.asked[0].headers.items()}


# -- what is shown


def test_a_token_is_shown_as_the_reference_shows_it() -> None:
    assert shown(auth_token="abc")["authorization"] == "token abc"
    assert shown(auth_token="abc", auth_scheme="Bearer")["authorization"] == "Bearer abc"
    assert shown(auth_token="abc", auth_scheme=None, auth_header_key="X-Key")["x-key"] == "abc"
    assert "authorization" not in shown()


def test_the_operators_headers_are_sent_and_the_tokens_wins() -> None:
    headers = shown(auth_token="abc", headers='{"X-A": "1", "authorization": "other"}')
    assert (headers["x-a"], headers["authorization"]) == ("1", "token abc")
    assert shown(headers='{"Authorization": "mine"}')["authorization"] == "mine"


def test_basic_authentication_by_setting_or_address() -> None:
    assert shown(http_user="me", http_pwd="pw")["authorization"] == "Basic bWU6cHc="
    kit = Kit(url="http://me:p%77@gw:8888/base/")
    kit.ask("GET", "/api/kernels", "a b/c")
    assert kit.api.asked[0].headers["Authorization"] == "Basic bWU6cHc="
    assert kit.api.asked[0].path == "/base/api/kernels/a b/c"
    assert kit.settings.shown_url == "http://gw:8888/base"


def test_a_token_with_a_newline_begins_no_other_header() -> None:
    assert shown(auth_token="abc\nX-Evil: 1\n")["authorization"] == "token abc X-Evil: 1"


class Renewer:
    def __init__(self) -> None:
        self.calls: list[tuple[str, ...]] = []

    def get_token(self, *arguments: str) -> str:
        self.calls.append(arguments)
        if len(self.calls) == 2:
            raise OSError("no new one now")
        return f"new-{len(self.calls)}"


def test_a_renewer_gives_the_token_of_each_request() -> None:
    renewer = Renewer()
    kit = Kit(renewer=renewer, auth_token="first")
    for _ in range(3):
        kit.ask("GET", "/api/kernels")
    assert renewer.calls == [
        ("Authorization", "token", "first"),
        ("Authorization", "token", "new-1"),
        ("Authorization", "token", "new-1"),
    ]
    assert [asked.headers["Authorization"] for asked in kit.api.asked] == ["token new-1", "token new-1", "token new-3"]


def test_cookies_are_sent_back_by_requests_and_websockets() -> None:
    api = TheirAPI()
    kit = Kit(api=api, accept_cookies=True)
    assert kit.credentials.jar is not None
    kit.gateway._agent = CookieAgent(api, kit.credentials.jar)
    api.script = [said(200, [], **{"Set-Cookie": "node=b7; Path=/"})]
    kit.ask("GET", "/api/kernels")
    kit.ask("GET", "/api/kernels")
    assert [asked.headers.get("Cookie") for asked in api.asked] == [None, "node=b7"]
    assert kit.credentials.cookies("ws://gw:8888/api/kernels/x/channels") == {"Cookie": "node=b7"}
    assert kit.credentials.cookies("ws://elsewhere/api/kernels/x/channels") == {}


# -- how long and how large


def test_an_answer_that_does_not_come_is_not_waited_for() -> None:
    kit = Kit(repeats=0)
    cancelled: list[Any] = []

    def cancel(asking: Deferred[Any]) -> None:
        cancelled.append(asking)
        asking.errback(ResponseFailed([]))

    kit.api.script = [Deferred(cancel)]
    found = kit.ask("GET", "/api/kernels")
    kit.clock.advance(41.9)
    assert not found
    kit.clock.advance(0.2)
    assert isinstance(found[0], TimedOut)
    assert len(cancelled) == 1


def test_a_launch_may_take_what_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERNEL_LAUNCH_TIMEOUT", "100")
    assert Kit().settings.patience == (102.0, 100)
    assert Kit(request_timeout=202.0).settings.patience == (202.0, 200)
    monkeypatch.setenv("KERNEL_LAUNCH_TIMEOUT", "soon")
    assert Kit().settings.patience == (42.0, 40)


def test_an_answer_that_is_too_large_is_cut_off() -> None:
    kit = Kit(answer_limit=5000)
    large = Response(200, bytes(100_000), {})
    kit.api.script = [large]
    (error,) = kit.ask("GET", "/api/kernels")
    assert (error.status_code, "answer_limit" in error.message) == (502, True)
    assert large.transport.disconnecting or large.transport.disconnected


def test_only_so_many_requests_are_under_way_at_once() -> None:
    kit = Kit()
    waiting: list[Deferred[Any]] = [Deferred() for _ in range(40)]
    kit.api.script = list(waiting)
    for _ in waiting:
        kit.ask("POST", "/api/kernels")
    assert len(kit.api.asked) == 32
    waiting[0].callback(said(201, {}))
    assert len(kit.api.asked) == 33


# -- failures


@pytest.mark.parametrize(
    ("failure", "kind", "status"),
    [
        (Refused(), Unavailable, 503),
        (ResponseFailed([]), Unavailable, 503),
        (RequestTransmissionFailed([Failure(ConnectionDone())]), Unavailable, 503),
        (ConnectionDone(), Unavailable, 503),
        (DNSLookupError("gw"), NotFound, 404),
    ],
)
def test_a_gateway_that_is_not_there(failure: Exception, kind: type[Exception], status: int) -> None:
    kit = Kit(repeats=0)
    kit.api.script = [failure]
    (error,) = kit.ask("GET", "/api/kernels")
    assert isinstance(error, kind)
    assert (describe(error) or ())[0] == status
    assert "gw" in error.message  # type: ignore[attr-defined]
    assert kit.events[-1]["status"] == "error"


def test_its_refusals_are_passed_on() -> None:
    kit = Kit()
    kit.api.script = [said(403, {"message": "not you", "reason": "quota"}), Response(418, b"<html>", {})]
    (error,) = kit.ask("POST", "/api/kernels")
    assert describe(error) == (403, "Error from the gateway: not you", "quota")
    (error,) = kit.ask("POST", "/api/kernels")
    assert (describe(error) or ())[0] == 418
    assert kit.events == [
        {"status": "error", "status_code": 403, "msg": "Error from the gateway: not you"},
        {"status": "error", "status_code": 418, "msg": "Error from the gateway: 418 I'm a Teapot"},
    ]


def test_it_is_not_followed_elsewhere() -> None:
    kit = Kit(auth_token="secret")
    kit.api.script = [Response(302, b"", {"Location": "https://evil.example/login?token=x"})]
    (error,) = kit.ask("GET", "/api/kernels")
    assert len(kit.api.asked) == 1
    assert error.status_code == 502
    assert "https://evil.example" in error.message
    assert "token" not in error.message


def test_what_is_no_json_is_no_traceback() -> None:
    kit = Kit()
    kit.api.script = [Response(200, b"<html>hello</html>", {})]
    (answer,) = kit.ask("GET", "/api/kernels")
    with pytest.raises(Upstream, match="no JSON"):
        answer.json()


def test_what_changes_nothing_is_asked_again() -> None:
    kit = Kit()
    kit.api.script = [Refused(), said(503, {})]
    found = kit.ask("GET", "/api/kernels")
    kit.clock.advance(0.1)
    assert not found
    kit.clock.advance(0.2)
    assert found[0].status == 200
    assert kit.events == [{"status": "success", "status_code": 200, "msg": "success"}]


def test_what_changes_something_is_asked_once() -> None:
    kit = Kit()
    kit.api.script = [Refused()]
    assert isinstance(kit.ask("POST", "/api/kernels")[0], Unavailable)
    kit.api.script = [said(404, {})]
    assert kit.ask("DELETE", "/api/kernels", "x")[0].status_code == 404
    assert len(kit.api.asked) == 2
