"""What classes written against a Tornado handler find."""

from __future__ import annotations

from typing import Any

import pytest

from jupyterd.auth.identity import IdentityProvider
from jupyterd.auth.user import User
from jupyterd.errors import Invalid
from tests.auth.serving import guarded_site


class Looking(IdentityProvider):
    """Keeps the handler that it was given."""

    seen: Any = None

    def get_user(self, handler: Any) -> User:
        self.seen = handler
        handler.set_header("X-One", "1")
        handler.add_header("X-Two", "a")
        handler.add_header("X-Two", "b")
        handler.set_cookie("plain", "a b;c", max_age=5, samesite="Lax")
        handler.set_secure_cookie("signed", "ümlaut", expires_days=None)
        handler.clear_cookie("gone", path="/x")
        return User("ada")


def looked(uri: str = "/api/things", **headers: str) -> tuple[Any, Any]:
    provider = Looking(token="t")
    site, _ = guarded_site(provider=provider, settings={"mine": 1})
    answer = site.request("GET", uri, headers={name.replace("_", "-"): value for name, value in headers.items()})
    return provider.seen, answer


def test_request() -> None:
    handler, _ = looked("/api/things?a=1&b=%C3%A4", X_Thing="one", Cookie="a=b")
    request = handler.request
    assert (request.method, request.path, request.query) == ("GET", "/api/things", "a=1&b=%C3%A4")
    assert request.uri == "/api/things?a=1&b=%C3%A4"
    assert request.full_url() == "http://127.0.0.1:8888/api/things?a=1&b=%C3%A4"
    assert (request.host, request.host_name, request.protocol) == ("127.0.0.1:8888", "127.0.0.1", "http")
    assert request.remote_ip == "127.0.0.1"
    assert request.cookies == {"a": "b"}
    assert request.arguments == {"a": [b"1"], "b": ["ä".encode()]}
    assert request.body == b""


def test_headers() -> None:
    headers = looked(X_Thing="one")[0].request.headers
    assert headers["x-thing"] == headers.get("X-THING") == "one"
    assert "X-Thing" in headers
    assert headers.get("X-Other") is None
    assert headers.get("X-Other", "no") == "no"
    assert headers.get_list("x-thing") == ["one"]
    assert ("X-Thing", "one") in list(headers.get_all())
    assert len(headers) == len(list(headers))
    with pytest.raises(KeyError):
        headers["X-Other"]


def test_arguments() -> None:
    handler, _ = looked("/api/things?a=1&a=%202%20&empty=")
    assert handler.get_argument("a") == handler.get_query_argument("a") == "2"
    assert handler.get_argument("a", strip=False) == " 2 "
    assert handler.get_arguments("a") == ["1", "2"]
    assert handler.get_argument("empty") == ""
    assert handler.get_argument("b", None) is None
    assert handler.get_body_argument("a", "none") == "none"
    with pytest.raises(Invalid, match="Missing argument b"):
        handler.get_argument("b")
    handler.form = {"a": ["3"], "f": [" x "]}
    assert handler.get_argument("a") == "3"
    assert handler.get_query_arguments("a") == ["1", "2"]
    assert (handler.get_body_argument("f"), handler.get_body_arguments("f", strip=False)) == ("x", [" x "])


def test_surroundings() -> None:
    handler, _ = looked()
    assert handler.settings["mine"] == 1
    assert handler.base_url == "/"
    assert handler.token == "t"
    assert handler.identity_provider is not None
    assert handler.authorizer is not None
    assert handler.logged_in
    assert handler.login_available
    assert not handler.token_authenticated
    assert handler.static_url("a b.css") == "/static/a%20b.css"
    assert handler.log.name == "jupyterd.auth"
    handler.own = "attributes may be set"
    assert handler.xsrf_token == handler.xsrf_token


def test_answer() -> None:
    _, answer = looked()
    assert answer.header("x-one") == "1"
    assert answer.headers["x-two"] == ["a", "b"]
    plain, signed, gone = answer.headers["set-cookie"]
    assert plain == 'plain="a b\\073c"; Max-Age=5; Path=/; SameSite=Lax'
    assert signed.startswith("signed=2|1:0|")
    assert signed.endswith("; Path=/")
    assert "expires" not in signed
    assert gone.startswith("gone=")
    assert gone.endswith("Path=/x")
    handler, _ = looked(Cookie=signed.partition(";")[0])
    assert handler.get_secure_cookie("signed") == "ümlaut".encode()
    assert handler.get_signed_cookie("other") is None
