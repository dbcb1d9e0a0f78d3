"""The answers of the 500s that a sound server may give: the Jupyter Server does too. Every other one is a defect.

``docs/errors.md`` tells the same list, and what a broken installation answers.
"""

from __future__ import annotations

import json
import re
from html import unescape

MEANT: tuple[tuple[int, str, str, str], ...] = (
    (500, "POST", r"/api/kernels", r"Kernel spec .* not found"),
    (500, "POST", r"/api/(kernels|sessions)", r"Kernel spec .* can not be read: "),
    (500, "POST", r"/api/(kernels|sessions)", r"Kernel died before it could be used\. "),
    (500, "POST", r"/api/(kernels|sessions)", r"\[Errno \d+\] "),
    (500, "POST", r"/api/(kernels|sessions)", r"Kernel was shut down while it started: "),
    (500, "GET", r"/api/kernelspecs(/[^/]*)?", r"Kernel spec .* can not be read: "),
    (500, "GET", r"/api/kernels/[^/]+/channels", r"Kernel .* could not be started\. "),
    (500, "POST", r"/api/kernels/.+/restart", r"Exception restarting kernel"),
    (500, "POST", r"/api/kernels/.+/interrupt", r"Cannot interrupt kernel\. No kernel is running!"),
    (500, "POST", r"/api/kernels/.+/interrupt", r"Kernel is in a pending state\. Cannot interrupt\."),
    (500, "PUT", r"/api/contents/.*", r"Unexpected error while saving file: "),
    (500, "PUT", r"/api/contents/.*", r"Unexpected error while running post hook save: "),
    (500, "PATCH", r"/api/contents/.*", r"Unknown error renaming file: "),
    (500, "GET|POST", r"/nbconvert/.*", r"nbconvert failed: "),
    (500, "POST", r"/api/terminals", r"Cannot create more than \d+ terminals"),
    (500, "POST", r"/api/terminals", r"No terminal could be started: "),
    (501, "POST", r"/api/sessions", r"The '.*' kernel is not available\. "),
    (501, "PATCH", r"/api/sessions/.+", r"The '.*' kernel could not be started: "),
    (507, "PUT|POST|PATCH", r"/(api/contents|files)/?.*", r""),
)
"""Status, methods, path, and how the message begins."""


def meant(status: int, method: str, path: str, message: str) -> bool:
    """Whether an answer in the 500s is one of those that are meant."""
    return any(
        status == its_status
        and method in methods.split("|")
        and re.fullmatch(its_path, path, re.DOTALL)
        and re.match(its_message, message, re.DOTALL)
        for its_status, methods, its_path, its_message in MEANT
    )


def message_of(body: bytes) -> str:
    """The message of an error, from its JSON or its page."""
    try:
        return str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        found = re.search(r"<p[^>]*>([^<]*)", body.decode("utf-8", "replace"))
        return unescape(found[1]).strip() if found else ""
