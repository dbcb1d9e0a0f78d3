"""What schemathesis is to find wrong: an answer of the 500s that is not meant."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote, urlsplit

import schemathesis

from tests.fuzz.deliberate import meant, message_of


@schemathesis.check
def no_defect(context: Any, response: Any, case: Any) -> None:
    """No answer of the 500s but those of :mod:`tests.fuzz.deliberate`."""
    if response.status_code < 500:
        return
    path = unquote(urlsplit(response.request.url).path)
    message = message_of(response.content)
    if not meant(response.status_code, response.request.method, path, message):
        raise AssertionError(f"a defect: {response.status_code} {message!r}")
