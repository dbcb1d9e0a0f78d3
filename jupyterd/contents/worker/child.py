"""Child process of :mod:`jupyterd.contents.worker.parent`: one line of JSON asks, one line answers.

It ends when its input does, or when nothing was asked for a while.
"""

from __future__ import annotations

import gc
import json
import mmap
import os
import select
import sys
import traceback
from base64 import b64decode
from collections.abc import Callable
from logging import Handler, LogRecord, getLogger
from typing import Any, BinaryIO

import orjson
from traitlets import default

from jupyterd.contents import operations
from jupyterd.contents.encoded_models import Answer, answer_of, in_pieces
from jupyterd.contents.managers.filemanager import FileContentsManager
from jupyterd.contents.managers.largefilemanager import LargeFileManager
from jupyterd.contents.managers.sync_or_async import at_once
from jupyterd.contents.notebook_steps import Step
from jupyterd.contents.operations import Query
from jupyterd.contents.raw_upload import RawUpload
from jupyterd.contents.worker import base64_stream
from jupyterd.errors import JupyterdError

FULL_COLLECTION = 50
"""Operations after which all memory is looked at for what nobody uses."""


class Kept(Handler):
    """Keeps what is logged, for the server's own log."""

    def __init__(self) -> None:
        super().__init__(level="WARNING")
        self.lines: list[str] = []

    def emit(self, record: LogRecord) -> None:
        """Keep one line."""
        self.lines.append(record.getMessage())


class Delegate(LargeFileManager):
    """The server's manager, here; its notary is made with the first notebook."""

    told: dict[str, Any]

    @default("notary")
    def _default_notary(self) -> Any:
        from jupyterd.contents.notebooks.trust import make_notary

        told = self.told
        return make_notary(algorithm=told["algorithm"], db_file=told["db_file"], secret=b64decode(told["secret"]))


def manager_of(settings: dict[str, Any]) -> FileContentsManager:
    """The manager that the server described."""
    log = getLogger("jupyterd.contents.worker.child")
    log.propagate = False
    manager = Delegate(log=log, **settings["traits"])
    manager.told = settings["notary"]
    manager.checkpoints_kwargs = {"parent": manager, "log": log, **settings["checkpoints"]}
    return manager


def get(manager: FileContentsManager, path: str, query: list[Any], out: str) -> dict[str, Any]:
    """Read; the body goes to the file ``out``."""
    found = operations.find(manager, path, Query(*query))
    with open(out, "wb", opener=_private, buffering=1 << 18) as file:
        for piece in in_pieces(found):
            file.write(piece)
    return _head(answer_of(found, b""))


def put(
    manager: FileContentsManager, path: str, body: str, if_match: str | None, step: str | None = None
) -> dict[str, Any]:
    """Save the model in the file ``body``.

    :param step: the file with what is done to a notebook before it is saved.
    """
    done = _step_in(step)
    with open(body, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
        answer = _put_inline(manager, path, text, if_match)
        if answer is None:
            answer = at_once(operations.put(manager, path, text, if_match, done))
        report = None if done is None else done.report
        return {**_head(answer), "body": answer.body.decode(), "report": report}


def change(manager: FileContentsManager, path: str, step: str) -> dict[str, Any]:
    """Do to a notebook on disk what is in the file ``step``."""
    done = _step_in(step)
    assert done is not None
    tag = at_once(operations.change(manager, path, done))
    return {"etag": tag, "report": done.report}


def _step_in(file: str | None) -> Step | None:
    if file is None:
        return None
    with open(file, "rb") as text:
        return Step(**orjson.loads(text.read()))


def _put_inline(manager: FileContentsManager, path: str, text: mmap.mmap, if_match: str | None) -> Answer | None:
    """Save a large file, block by block; None for anything else."""
    model = base64_stream.sketch(text)
    if model is None:
        return None
    upload = RawUpload(manager, path)
    try:
        for block in base64_stream.decoded(model.content):
            upload.write(block)
        return at_once(operations.commit(manager, upload, path, if_match))
    except base64_stream.Unusual:
        return None
    finally:
        upload.abort()
        del model


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _head(answer: Answer) -> dict[str, Any]:
    modified = answer.last_modified.isoformat() if answer.last_modified is not None else None
    return {"path": answer.path, "last_modified": modified, "etag": answer.etag, "created": answer.created}


OPERATIONS: dict[str, Callable[..., dict[str, Any]]] = {"get": get, "put": put, "change": change}


def answer(manager: FileContentsManager, request: dict[str, Any]) -> dict[str, Any]:
    """Do what is asked; what fails is told."""
    try:
        return {"result": OPERATIONS[request.pop("do")](manager, **request)}
    except JupyterdError as error:
        return {"error": {"kind": _name(error), "message": error.message, "reason": error.reason}}
    except Exception as error:  # noqa: BLE001 - told to the server, which logs it
        trace = traceback.format_exc()
        return {"error": {"kind": _name(error), "message": str(error), "reason": None, "traceback": trace}}


def _name(error: BaseException) -> str:
    return f"{type(error).__module__}.{type(error).__qualname__}"


class Lines:
    """Lines from a descriptor.

    :param idle: seconds to wait for one.
    """

    def __init__(self, fd: int, idle: float) -> None:
        self._fd = fd
        self._idle = idle
        self._held = b""

    def next(self) -> bytes | None:
        """The next line; None at the end, or when none came in time."""
        while b"\n" not in self._held:
            if not select.select([self._fd], [], [], self._idle)[0]:
                return None
            data = os.read(self._fd, 65536)
            if not data:
                return None
            self._held += data
        line, _, self._held = self._held.partition(b"\n")
        return line


def serve(asked: int, told: BinaryIO, idle: float) -> None:
    """Answer until nobody asks.

    :param asked: the descriptor of the questions.
    """
    lines = Lines(asked, idle)
    settings = lines.next()
    if settings is None:
        return
    manager = manager_of(json.loads(settings))
    kept = Kept()
    manager.log.addHandler(kept)
    gc.disable()  # large notebooks hold no cycles, and looking for some in them takes long
    done = 0
    while (line := lines.next()) is not None:
        reply = answer(manager, json.loads(line))
        reply["log"], kept.lines = kept.lines, []
        told.write(json.dumps(reply).encode() + b"\n")
        told.flush()
        done += 1
        gc.collect(0 if done % FULL_COLLECTION else 2)


if __name__ == "__main__":
    serve(sys.stdin.fileno(), sys.stdout.buffer, float(sys.argv[1]))
