"""The answers that the fuzz run takes for meant."""

from __future__ import annotations

import re
from pathlib import Path

from tests.fuzz.deliberate import MEANT, meant, message_of

DOCS = (Path(__file__).resolve().parent.parent.parent / "docs" / "errors.md").read_text()


def test_each_is_in_the_docs() -> None:
    for status, _methods, _path, message in MEANT:
        shown = re.sub(r"\.\*|\\d\+", "…", message).replace("\\", "")
        assert f"| {status} |" in DOCS
        assert f"`{shown}" in DOCS, shown


def test_nothing_else_is_meant() -> None:
    assert meant(500, "POST", "/api/kernels", "Kernel spec nope not found")
    assert meant(500, "POST", "/api/kernels/a\nb/restart", "Exception restarting kernel")
    assert not meant(500, "POST", "/api/kernels", "Unhandled error")
    assert not meant(500, "GET", "/api/kernels", "Kernel spec nope not found")
    assert not meant(503, "POST", "/api/kernels", "Kernel spec nope not found")


def test_messages_of_json_and_of_pages() -> None:
    assert message_of(b'{"message": "Not &", "reason": null}') == "Not &"
    assert message_of(b'<h1>500</h1><p class="error">it&#39;s wrong</p><p>x</p>') == "it's wrong"
    assert message_of(b"") == ""
