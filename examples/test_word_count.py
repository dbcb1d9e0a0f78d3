"""A test with ``jupyterd.testing``: a resource of your own behind the real HTTP server, without a socket or a sleep."""

from jupyterd.errors import Invalid
from jupyterd.testing.http import MemorySite
from jupyterd.web.api import Routes, json_api


class WordCount:
    """``POST /api/words``: how many words there are in ``{"text": …}``."""

    app = Routes()
    api = json_api(app)

    @api("POST", "/api/words")
    async def count(self, call):
        """Parse, one call, return: status, headers and JSON are written elsewhere."""
        body = await call.json_object()
        if not isinstance(body.get("text"), str):
            raise Invalid("text must be a string")
        return {"words": len(body["text"].split())}


def site():
    served = MemorySite()
    served.root.mount("/api/words", lambda: WordCount().app.resource(), auth="words")
    return served


def test_words_are_counted():
    answer = site().request("POST", "/api/words", json_body={"text": "one log, many cursors"})
    assert (answer.status, answer.json()) == (200, {"words": 4})


def test_a_number_is_no_text():
    answer = site().request("POST", "/api/words", json_body={"text": 4})
    assert (answer.status, answer.json()["message"]) == (400, "text must be a string")


def test_another_method_is_405():
    assert site().request("DELETE", "/api/words").status == 405
