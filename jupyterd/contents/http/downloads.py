"""``/files/<path>``: the bytes of a file, in ranges, with validators, without rights in this server's origin.

How a range or a validator is answered is in :mod:`jupyterd.web.files`. They can be put there too, as they are; see
:mod:`jupyterd.contents.raw_upload`.
"""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import quote

from jupyterd.contents import operations
from jupyterd.contents.http.resource import escape
from jupyterd.contents.http.upload_sink import UploadSink
from jupyterd.contents.managers.filemanager import FileContentsManager
from jupyterd.contents.managers.sync_or_async import settled
from jupyterd.contents.paths import clean, media_type_of
from jupyterd.contents.raw_upload import RawUpload
from jupyterd.contents.service import Contents
from jupyterd.errors import NotFound, Unsupported
from jupyterd.web import errors
from jupyterd.web.api import Routes, json_api
from jupyterd.web.call import Call, Reply
from jupyterd.web.files import FileReply, opened_by
from jupyterd.web.self_writing_reply import Served

BYTES = "application/octet-stream"


class FilesResource:
    """Downloads; of any contents manager. What they may do in a browser is said by the guard's headers."""

    app = Routes()
    api = json_api(app)

    def __init__(self, contents: Contents) -> None:
        self._contents = contents

    def body(self, request: Any) -> UploadSink | None:
        """A file that is uploaded goes to where it will be while it comes."""
        manager = self._contents.manager
        if request.method != b"PUT" or not isinstance(manager, FileContentsManager):
            return None
        contents, path = self._contents, "/".join(request.segments[1:])
        return UploadSink(
            request,
            RawUpload(manager, path),
            contents.thread_pools.write,
            lambda: contents.begin_upload(path, request.getHeader("content-length")),
        )

    @api("PUT", "/files/<path:path>")
    async def upload(self, call: Call, path: str) -> Reply:
        """Save the request's body as it is; its model is the answer, errors are JSON.

        :raises Unsupported: the contents are not kept in files.
        """
        try:
            return await self._save(call, clean(call.path.removeprefix("/files")))
        except Exception as error:
            described = errors.describe(error)
            if described is None:
                raise
            status, message, reason = described
            return Reply(errors.body(message, reason), status=status)

    async def _save(self, call: Call, path: str) -> Reply:
        sink, tags, contents = call.request.content, call.header("if-match"), self._contents
        if not isinstance(sink, UploadSink):
            raise Unsupported("This server does not keep its contents in files")
        upload = sink.target
        assert isinstance(upload, RawUpload)
        await sink.complete()
        answer = await contents.commit(upload, path, tags, sink.size)
        headers = {"Location": f"{call.base_url}files/{escape(path)}", "ETag": answer.etag or ""}
        return Reply(answer.body, status=201 if answer.created else 200, headers=headers)

    @api(("GET", "HEAD"), "/files/<path:path>")
    async def download(self, call: Call, path: str) -> Reply | Served:
        """The file.

        :raises NotFound: nothing there, or hidden.
        :raises Forbidden: a directory, a special file, or a link out of the root.
        """
        path = clean(call.path.removeprefix("/files"))
        name = path.rsplit("/", 1)[-1]
        headers = {"Cache-Control": "no-cache" if call.arg("v") is None else "max-age=315360000"}
        if call.arg("download") or name.endswith(".ipynb"):
            headers["Content-Disposition"] = attachment(name)
        if isinstance(self._contents.manager, FileContentsManager):
            fd, os_path = await self._contents.ask(operations.open_file, path)
            kind = media_type_with_charset(name)
            if kind == BYTES:  # a link may say less than the name of what it leads to
                kind = media_type_with_charset(os_path.rpartition("/")[2])
            return FileReply(os_path, kind, headers, self._contents.thread_pools.read, opened_by(fd))
        data = await self._contents.ask(read_any, path)
        return Reply(data, content_type=media_type_with_charset(name), headers=headers)


async def read_any(manager: Any, path: str) -> bytes:
    """The bytes of a file of a manager that keeps no files.

    :raises NotFound: hidden.
    """
    if not manager.allow_hidden and await settled(manager.is_hidden(path)):
        raise NotFound("")
    model = await settled(manager.get(path, type="file", content=True))
    content = model["content"]
    if model["format"] == "base64":
        return base64.decodebytes(content.encode("ascii"))
    return content if isinstance(content, bytes) else str(content).encode()


def media_type_with_charset(name: str) -> str:
    """The media type of a download."""
    if name.endswith(".ipynb"):
        return "application/x-ipynb+json"
    kind, encoding = media_type_of(name)
    if encoding == "gzip":
        return "application/gzip"
    if encoding is not None or kind is None:
        return BYTES
    return "text/plain; charset=UTF-8" if kind == "text/plain" else kind


def attachment(name: str) -> str:
    """A header value that has browsers save under this name (RFC 6266, RFC 8187)."""
    return f"attachment; filename*=utf-8''{quote(name.encode('utf-8', 'surrogateescape'), safe='')}"
