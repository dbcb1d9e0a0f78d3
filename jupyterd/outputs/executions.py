"""Executions of cells: what is remembered of one run of one cell, beside what the message log has of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import msgspec
import orjson

from jupyterd.kernels.messages.websocket_codec import UNREADABLE, Bytes

CODE = 1024 * 1024
"""Bytes of a request's content that are kept as they came; of a longer one there is the code's hash alone."""


class _Metadata(msgspec.Struct, gc=False):
    """What is read of a request's metadata."""

    cellId: str | None = None
    notebook_path: str | None = None


_read_metadata = msgspec.json.Decoder(_Metadata).decode


class _Request(msgspec.Struct, gc=False):
    """What is read of a request's content, when it is needed."""

    code: str = ""
    silent: bool = False
    store_history: bool = True


_read_request = msgspec.json.Decoder(_Request).decode


class _Reply(msgspec.Struct, gc=False):
    """What is read of a reply's content."""

    status: str = "ok"
    execution_count: int | None = None


_read_reply = msgspec.json.Decoder(_Reply).decode


def request_of(content: Bytes) -> _Request:
    """What a request asks; nothing visible where that can not be read."""
    try:
        return _read_request(content)
    except UNREADABLE:
        return _Request(silent=True)


def reply_of(content: Bytes) -> _Reply:
    """How a request ended."""
    try:
        return _read_reply(content)
    except UNREADABLE:
        return _Reply("error")


def cell_of(metadata: Bytes) -> tuple[str | None, str | None]:
    """Cell id and notebook path in a request's metadata; None for what it does not say.

    An id that is a URI (other editors send the cell's) names no cell of the file.
    """
    try:
        read = _read_metadata(metadata)
    except UNREADABLE:
        return None, None
    cell_id = read.cellId if read.cellId and len(read.cellId) <= 64 and ":" not in read.cellId else None
    path = None if read.notebook_path is None else clean(read.notebook_path)
    return cell_id, path


def clean(path: str) -> str:
    """An API path as sessions and contents have it."""
    return path.strip("/")


def hash_of(source: str) -> str:
    """What tells whether a cell's source is the code that ran."""
    return sha256(source.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(eq=False)
class InputRequest:
    """What a cell waits for: header and content of the kernel's ``input_request``."""

    header: dict[str, Any]
    content: dict[str, Any]

    def model(self, parent: dict[str, Any]) -> dict[str, Any]:
        """As REST clients get it."""
        return {
            "msg_id": self.header.get("msg_id"),
            "prompt": self.content.get("prompt", ""),
            "password": bool(self.content.get("password")),
            "header": self.header,
            "parent_header": parent,
        }


@dataclass(eq=False)
class Execution:
    """One ``execute_request``.

    :ivar id: its message id.
    :ivar cell_id: which cell it is of; None where the request did not say.
    :ivar path: the notebook that the request named; None where the kernel's session says.
    :ivar first: the number in the kernel's log from which on it may have said something.
    :ivar state: ``queued``, ``running``, then ``ok``, ``error`` or ``aborted``.
    :ivar clients: the sessions of the clients that show its outputs: who asked, and who took it over.
    :ivar saver: the session of the client that saves what it shows, so that of several pages one writes the file.
    :ivar asked: when.
    :ivar waiting: notebooks in which its outputs have no place, and why.
    :ivar told: of which of them it was told.
    :ivar recorded: its outputs may be written into the file: who asked may write there.
    :ivar superseded: its cell was run again since.
    :ivar in_file: what it had said when it was last looked at is in the file.
    """

    id: str
    cell_id: str | None
    path: str | None
    first: int
    header: bytes
    content: bytes
    state: str = "queued"
    count: int | None = None
    started: float | None = None
    ended: float | None = None
    clients: set[str] = field(default_factory=set)
    saver: str = ""
    input: InputRequest | None = None
    replied: bool = False
    idle: bool = False
    asked: float = 0.0
    waiting: dict[str, str] = field(default_factory=dict)
    told: dict[str, str] = field(default_factory=dict)
    recorded: bool = True
    superseded: bool = False
    in_file: bool = False
    _hash: str | None = None
    _visible: bool | None = None

    @property
    def over(self) -> bool:
        """It has ended."""
        return self.ended is not None

    @property
    def code_hash(self) -> str:
        """See :func:`hash_of`."""
        if self._hash is None:
            self._look()
        return self._hash or ""

    @property
    def visible(self) -> bool:
        """It is a cell's, and no question that a front end asks for itself."""
        if self._visible is None:
            self._look()
        return bool(self._visible)

    def _look(self) -> None:
        request = request_of(self.content)
        self._hash = hash_of(request.code)
        self._visible = not request.silent and (self.cell_id is not None or request.store_history)

    def know(self, code_hash: str, visible: bool) -> None:
        """What would else be read from the request, which is not there."""
        self._hash, self._visible = code_hash, visible

    def shorten(self) -> None:
        """Keep no more of a long request than is needed."""
        if len(self.content) > CODE:
            self._look()
            self.content = b""

    def input_model(self) -> dict[str, Any] | None:
        """What it waits for, as REST clients get it."""
        return None if self.input is None else self.input.model(orjson.loads(self.header))
