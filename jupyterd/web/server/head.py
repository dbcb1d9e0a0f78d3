"""Head of a request: its path, its query, what is wrong with it beyond what the parser knows (pure).

Source: RFC 9112, sections 3.2 and 3.2.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import unquote_to_bytes

from jupyterd.web.refusal import Refusal


def read_path(method: bytes, path: bytes, version: bytes, hosts: Sequence[bytes]) -> list[str] | Refusal | None:
    """The decoded segments of a request's path, or what to answer a head that is not one of ours.

    An escaped slash separates segments as a plain one does: what is mounted where, and what the mount's routes see,
    must not differ. None for a path that has steps up, which clients resolve before they ask.
    """
    if len(hosts) != 1 and (hosts or version == b"HTTP/1.1"):
        return Refusal(400, "A request has one Host header")
    if method != method.upper():
        return Refusal(405)  # methods are written in capitals, and Klein's router would not mind
    if not path.startswith(b"/"):
        return Refusal(400, "The path does not begin with a slash")
    try:
        decoded = unquote_to_bytes(path).decode()
    except UnicodeDecodeError:
        return Refusal(400, "The path is not UTF-8")
    if "\0" in decoded:
        return Refusal(400, "The path holds a NUL")
    segments = decoded[1:].split("/")
    return None if ".." in segments else segments


def parse_query(query: bytes) -> dict[bytes, list[bytes]]:
    """The arguments of a query: split at ``&`` alone, as browsers and the reference do."""
    arguments: dict[bytes, list[bytes]] = {}
    for pair in query.replace(b"+", b" ").split(b"&"):
        name, _, value = pair.partition(b"=")
        if pair:
            arguments.setdefault(unquote_to_bytes(name), []).append(unquote_to_bytes(value))
    return arguments
