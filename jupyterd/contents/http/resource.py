"""``/api/contents``: read, save, make, rename, delete; checkpoints, versions, trust."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import format_datetime
from functools import lru_cache
from http import HTTPStatus
from typing import Any, Protocol
from urllib.parse import quote

from twisted.logger import Logger

from jupyterd.contents import operations
from jupyterd.contents.encoded_models import Answer
from jupyterd.contents.http.slices import InSlices, Temporary
from jupyterd.contents.http.upload_sink import SpoolFile, UploadSink
from jupyterd.contents.operations import Missing, Query
from jupyterd.contents.service import Contents, FileAnswer
from jupyterd.contents.worker.parent import LARGE
from jupyterd.errors import Invalid, MethodNotAllowed
from jupyterd.web.api import Routes, json_api
from jupyterd.web.call import Call, Reply
from jupyterd.web.self_writing_reply import Served


class BelowNotebooks(Protocol):
    """What answers paths below notebooks that are no files'."""

    def knows(self, path: str) -> bool:
        """Whether a path is one of them."""

    async def answer(self, call: Call, path: str) -> Reply | None:
        """The answer."""


class ContentsResource:
    """The contents API. A path may hold anything, so its end is told apart here and not by routes.

    :param below: what answers other paths below notebooks; nothing where it is None.
    """

    app = Routes()
    api = json_api(app)
    log = Logger()

    def __init__(self, contents: Contents, below: BelowNotebooks | None = None) -> None:
        self._contents, self._below = contents, below

    @api(("GET", "HEAD"), "/api/contents", status=200)
    @api(("GET", "HEAD"), "/api/contents/<path:path>", status=200)
    async def get(self, call: Call, path: str = "") -> Reply | Served:
        """A model, or the list of a file's checkpoints."""
        path = path_of(call)
        if self._below is not None and self._below.knows(path):
            return await self._below.answer(call, path) or Reply(status=204)
        target = await self._target(path, "checkpoints")
        if target.verb == "checkpoints":
            versions = call.arg("versions") in ("1", "true")
            return Reply(await self._contents.ask(operations.list_checkpoints, target.path, versions))
        query = query_of(call)
        try:
            answer = await self._contents.get(path, query)
        except Missing as error:  # the reference's answer: the bare sentence
            return Reply(error.message.encode("utf-8", "replace"), status=HTTPStatus.NOT_FOUND)
        return self._reply(call, answer, located=False)

    @api("PUT", "/api/contents")
    @api("PUT", "/api/contents/<path:path>")
    async def put(self, call: Call, path: str = "") -> Reply | Served:
        """Save."""
        path, body, tags = path_of(call), call.request.content, call.header("if-match")
        await self._target(path)
        if not isinstance(body, UploadSink):
            return self._reply(call, await self._contents.put(path, call.body(), tags))
        data = body.in_memory()
        if data is not None:
            return self._reply(call, await self._contents.put(path, data, tags))
        await body.complete()
        spooled = body.target
        assert isinstance(spooled, SpoolFile)
        assert spooled.path is not None
        return self._reply(call, await self._contents.put_spooled(path, spooled.path, tags, body.size))

    @api("POST", "/api/contents")
    @api("POST", "/api/contents/<path:path>")
    async def post(self, call: Call, path: str = "") -> Reply | Served:
        """Make something new; or a checkpoint, its restoration, trust."""
        path = path_of(call)
        if self._below is not None and self._below.knows(path):
            return await self._below.answer(call, path) or Reply(status=204)
        target = await self._target(path, "trust", "checkpoints", "checkpoint")
        if target.verb == "trust":
            await self._contents.run(operations.trust, target.path)
            return Reply(b"", content_type="text/html; charset=UTF-8", status=201)
        if target.verb == "checkpoints":
            return await self._post_checkpoint(call, target)
        body = call.body()
        return self._reply(call, await self._contents.post(path, body))

    async def _post_checkpoint(self, call: Call, target: Target) -> Reply:
        contents, path, checkpoint = self._contents, target.path, target.checkpoint
        if checkpoint is not None:
            await contents.alone([path], lambda: contents.run(operations.restore_checkpoint, path, checkpoint))
            return Reply(status=204)
        made, body = await contents.alone([path], lambda: contents.run(operations.create_checkpoint, path))
        call.set_header("Location", f"{location_of(call, path)}/checkpoints/{quote(made)}")
        return Reply(body, status=201)

    @api("PATCH", "/api/contents")
    @api("PATCH", "/api/contents/<path:path>")
    async def patch(self, call: Call, path: str = "") -> Reply | Served:
        """Rename or move."""
        path, body = path_of(call), call.body()
        await self._target(path)
        new = operations.parse_body(body).value.get("path", path)
        answer = await self._contents.move(path, new if isinstance(new, str) else path, body)
        return self._reply(call, answer)

    @api("DELETE", "/api/contents", status=204)
    @api("DELETE", "/api/contents/<path:path>", status=204)
    async def delete(self, call: Call, path: str = "") -> None:
        """Delete a file, a directory or a checkpoint."""
        path = path_of(call)
        if self._below is not None and self._below.knows(path):
            await self._below.answer(call, path)
            return
        target = await self._target(path, "checkpoint")
        contents, checkpoint = self._contents, target.checkpoint
        if checkpoint is not None:
            await contents.run(operations.delete_checkpoint, target.path, checkpoint)
        else:
            await contents.delete(path)

    async def _target(self, path: str, *verbs: str) -> Target:
        """What is asked for: the entry of that path, where there is one; else what is to be done to the one above.

        The root and directories have no checkpoints and no trust: what can not be done to them is meant for an entry.

        :param verbs: what this method does to an entry.
        :raises MethodNotAllowed: the entry above does not do that.
        """
        target = Target.parse(path)
        if target.verb != "" and await self._contents.ask(operations.is_entry, path, target.path, target.kind in verbs):
            return Target(path)
        return target.only("", *verbs)

    def body(self, request: Any) -> UploadSink | None:
        """A large body goes to a temporary file while it comes."""
        length = request.getHeader("content-length")
        if request.method != b"PUT" or (length is not None and length.isdigit() and int(length) <= LARGE):
            return None
        contents, path = self._contents, "/".join(request.segments[2:])
        return UploadSink(
            request,
            SpoolFile(contents.worker.new_path),
            contents.thread_pools.write,
            lambda: contents.begin_upload(path, length),
        )

    def _reply(self, call: Call, answer: Answer | FileAnswer, located: bool = True) -> Reply | Served:
        headers: dict[str, str] = {}
        if located:
            headers["Location"] = location_of(call, answer.path)
        if answer.last_modified is not None:
            headers["Last-Modified"] = http_date(answer.last_modified)
        if answer.etag is not None:
            headers["ETag"] = answer.etag
        if isinstance(answer, FileAnswer):
            return Temporary(answer.os_path, headers)
        if len(answer.body) > LARGE:
            return InSlices(answer.body, headers)
        return Reply(answer.body, status=201 if answer.created else 200, headers=headers)


_CHECKPOINT_ID = re.compile(r"[\w-]+\Z")


@dataclass(frozen=True)
class Target:
    """A path and what is to be done to it: its last segments may be ``checkpoints``, an id of one, or ``trust``."""

    path: str
    verb: str = ""
    checkpoint: str | None = None

    @classmethod
    def parse(cls, path: str) -> Target:
        """Source: the reference's routes, ``<path>/checkpoints``, ``<path>/checkpoints/<id>``, ``<path>/trust``."""
        parent, _, last = path.rpartition("/")
        if last in ("checkpoints", "trust") and parent.strip("/"):
            return cls(parent, last)
        above, _, before = parent.rpartition("/")
        if before == "checkpoints" and _CHECKPOINT_ID.match(last) and above.strip("/"):
            return cls(above, before, last)
        return cls(path)

    @property
    def kind(self) -> str:
        """What is to be done, ``checkpoint`` where it is done to one of them."""
        return "checkpoint" if self.checkpoint is not None else self.verb

    def only(self, *verbs: str) -> Target:
        """Itself, where what is asked can be done to it.

        :raises MethodNotAllowed: it can not.
        """
        if self.kind not in verbs:
            raise MethodNotAllowed()
        return self


def path_of(call: Call) -> str:
    """The API path of a request, with its leading slash; empty for the root."""
    return call.path.removeprefix("/api/contents")


def query_of(call: Call) -> Query:
    """How much of a file is wanted.

    :raises Invalid: a value that is not known. The reference's texts.
    """
    kind = call.arg("type")
    if kind is not None and kind not in operations.TYPES:
        kind = "file"
    form = call.arg("format")
    if form not in (None, "text", "base64"):
        raise Invalid(f"Format {form!r} is invalid")
    content = call.arg("content", "1")
    if content not in ("0", "1"):
        raise Invalid(f"Content {content!r} is invalid")
    hashed = call.arg("hash", "0")
    if hashed not in ("0", "1"):
        raise Invalid(f"Hash argument {hashed!r} is invalid. It must be '0' or '1'.")
    return Query(content == "1", kind, form, hashed == "1")


def location_of(call: Call, path: str) -> str:
    """The URL path of a model."""
    return f"{call.base_url}api/contents/{escape(path)}".rstrip("/")


def escape(path: str) -> str:
    """An API path as it is written in a URL."""
    return quote(path.strip("/").encode("utf-8", "surrogateescape"))


def http_date(moment: Any) -> str:
    """A datetime, or what a manager gives in its place, as HTTP writes it."""
    return _http_date(moment) if isinstance(moment, datetime) else str(moment)


@lru_cache(1024)
def _http_date(moment: datetime) -> str:
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=timezone.utc)
    return format_datetime(aware.astimezone(timezone.utc), usegmt=True)
