"""Models as they are answered: encoded, with what the response's head says of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from jupyterd.contents.managers.reading import Found
from jupyterd.contents.models import Model, check, encode, encode_any, etag_of
from jupyterd.contents.notebooks import jsonio


@dataclass(frozen=True)
class Answer:
    """An encoded model and what the response's head says of it.

    :param etag: of the file that the model describes; None where there is none.
    """

    body: bytes
    path: str = ""
    last_modified: datetime | None = None
    etag: str | None = None
    created: bool = False


def encode_found(found: Found) -> bytes:
    """JSON of a model, with its content."""
    if found.model["type"] == "notebook" and found.model["content"] is not None:
        return jsonio.to_wire(found.model)
    return encode(found.model)


def in_pieces(found: Found) -> Iterator[bytes]:
    """The same, of a notebook a few cells at a time: large buffers cost more than the work."""
    content = found.model["content"]
    if not found.plain or type(content) is not dict or type(content.get("cells")) is not list or len(content) < 2:
        yield encode_found(found)
        return
    yield b'{"content":{"cells":['
    yield from jsonio.list_in_pieces(content["cells"])
    yield b"]," + jsonio.to_wire({key: value for key, value in content.items() if key != "cells"})[1:]
    yield b"," + encode({key: value for key, value in found.model.items() if key != "content"})[1:]


def answer_of(found: Found, body: bytes, created: bool = False) -> Answer:
    """An answer with the head that a model of ours gives it."""
    model = found.model
    return Answer(body, model["path"], model["last_modified"], tag_of(found), created)


def tag_of(found: Found) -> str | None:
    """The validator of a file; a directory has none."""
    return None if found.model["type"] == "directory" else etag_of(found.status)


def answer_of_any(model: Model, created: bool = False) -> Answer:
    """An answer with what any manager returned: a model without content.

    :raises Failed: it is none.
    """
    check(model)
    return Answer(encode_any(model), model["path"], model["last_modified"], None, created)
