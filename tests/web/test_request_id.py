"""The name of a request: in its response, in the log, on pages of errors."""

from __future__ import annotations

from typing import Any

import pytest
from klein import Klein
from twisted.logger import globalLogPublisher

from jupyterd.testing.http import MemorySite
from jupyterd.web.api import json_api
from jupyterd.web.pages import Pages


class Broken:
    """Answers, or fails."""

    app = Klein()
    api = json_api(app)

    @api("GET", "/api/fine")
    async def fine(self, call: Any) -> dict[str, Any]:
        return {}

    @api("GET", "/api/broken")
    async def broken(self, call: Any) -> None:
        raise ZeroDivisionError


@pytest.fixture
def site() -> MemorySite:
    served = MemorySite()
    served.root.mount("/api", lambda: Broken().app.resource(), auth="api")
    return served


def test_each_has_its_own(site: MemorySite) -> None:
    names = [site.request("GET", "/api/fine").header("X-Request-Id") for _ in range(3)]
    assert len(set(names)) == 3
    assert all(names)


def test_that_of_a_proxy_is_kept(site: MemorySite) -> None:
    assert site.request("GET", "/api/fine", headers={"X-Request-Id": "a.B-9_"}).header("X-Request-Id") == "a.B-9_"


@pytest.mark.parametrize("name", ["a b", "<script>", "x" * 65, "", "\x1b[31m"])
def test_one_that_could_be_mistaken_is_not(site: MemorySite, name: str) -> None:
    answer = site.request("GET", "/api/fine", headers={"X-Request-Id": name})
    assert answer.header("X-Request-Id") not in (name, None)


def test_what_fails_is_found_in_the_log(site: MemorySite) -> None:
    events: list[Any] = []
    globalLogPublisher.addObserver(events.append)
    try:
        answer = site.request("GET", "/api/broken", headers={"X-Request-Id": "look-for-me"})
    finally:
        globalLogPublisher.removeObserver(events.append)
    assert answer.status == 500
    assert "look-for-me" not in answer.body.decode()
    assert [event for event in events if "log_failure" in event][0]["request_id"] == "look-for-me"


@pytest.mark.parametrize(("status", "said"), [(500, "look for <code>r-1</code>"), (404, "Request r-1")])
def test_error_pages_say_where_to_look(status: int, said: str) -> None:
    class Request:
        request_id = b"r-1"

    page = Pages("/").error(Request(), status, "what happened").decode()  # type: ignore[arg-type]
    assert said in page
    assert "what happened" in page
