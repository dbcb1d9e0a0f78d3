"""Files as responses: read in threads, sent as fast as the client takes them, with ranges and validators.

Source: RFC 9110, sections 8.8 (validators), 13 (conditional requests) and 14 (ranges).
"""

from __future__ import annotations

import mimetypes
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import formatdate, parsedate_to_datetime
from typing import BinaryIO

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from twisted.logger import Logger
from zope.interface import implementer

from jupyterd.errors import Forbidden, NotFound
from jupyterd.system.threads import InThread
from jupyterd.web.self_writing_reply import Served
from jupyterd.web.sendfile import SendfileProducer, can_send
from jupyterd.web.server.request import Request

CHUNK = 256 * 1024
"""Bytes that are read, and held in memory, at a time for each client."""

STRANGERS_CHUNK = 64 * 1024
"""The same for who is not known, of whom there may be many."""

log = Logger()


FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
"""How a file is opened that may turn out to be none."""


@dataclass(frozen=True)
class Opened:
    """An open regular file and what its head says."""

    file: BinaryIO
    size: int
    mtime: float
    etag: str


def open_regular(path: str) -> Opened:
    """Open a regular file for reading; blocks.

    A fifo, a socket or a device is never opened.

    :raises NotFound: no such file, or not a regular one.
    :raises Forbidden: not readable.
    """
    try:
        fd = os.open(path, FLAGS)
    except PermissionError:
        raise Forbidden("Permission denied") from None
    except OSError:
        raise NotFound("No such file") from None
    return opened_by(fd)


def opened_by(fd: int) -> Opened:
    """The same of what is open already; a descriptor of something else is closed.

    :raises NotFound: not a regular file.
    """
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode):
        os.close(fd)
        raise NotFound("Not a regular file")
    return Opened(os.fdopen(fd, "rb"), status.st_size, status.st_mtime, f'"{status.st_mtime_ns:x}-{status.st_size:x}"')


def content_type_of(path: str) -> str:
    """The media type that a file's name stands for."""
    kind, encoding = mimetypes.guess_type(path)
    if encoding == "gzip":
        return "application/gzip"
    if encoding is not None or kind is None:
        return "application/octet-stream"
    return f"{kind}; charset=UTF-8" if kind.startswith("text/") or kind == "application/javascript" else kind


def parse_range(value: str | None, size: int) -> tuple[int, int] | None:
    """The first and one-past-last byte that a ``Range`` header asks for.

    :returns: None where the whole file is to be sent: no header, several ranges, or one that is not understood.
    :raises ValueError: no byte of the file is in the range.
    """
    if value is None or not value.startswith("bytes=") or "," in value:
        return None
    first, dash, last = value[6:].strip().partition("-")
    digits = first + last
    if not dash or not (digits.isascii() and digits.isdigit()):
        return None
    if not first:
        start, end = max(0, size - int(last)), size
        if int(last) == 0:
            raise ValueError(value)
    else:
        start, end = int(first), min(size, int(last) + 1) if last else size
        if last and int(last) < start:
            return None
    if start >= size:
        raise ValueError(value)
    return start, end


@dataclass
class FileReply(Served):
    """A file, sent while it is read.

    :param path: of a regular file.
    :param content_type: None to tell it from the name.
    :param headers: more response headers.
    :param in_thread: where it is read; None for where the site does its own work.
    :param opened: the file, where it is open already.
    """

    path: str
    content_type: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    in_thread: InThread | None = None
    opened: Opened | None = None

    def serve(self, request: Request) -> None:
        """Open the file in a thread, then send it."""
        if self.opened is not None:
            self._send(self.opened, request)
            return
        opening = (self.in_thread or request.site.in_thread)(open_regular, self.path)
        opening.addCallback(self._send, request)
        opening.addErrback(self._failed, request)

    def _failed(self, failure: object, request: Request) -> None:
        from jupyterd.web.errors import describe

        error = getattr(failure, "value", None)
        known = describe(error) if isinstance(error, BaseException) else None
        if known is None:
            log.failure("could not send {path}", failure, path=self.path)  # type: ignore[arg-type]
        if not request._disconnected and not request.startedWriting:
            request.fail(*(known or (500, "Unhandled error", None)))

    def _send(self, opened: Opened, request: Request) -> None:
        if request._disconnected:
            opened.file.close()
            return
        for name, value in self.headers.items():
            request.setHeader(name.encode("ascii"), value.encode("latin-1", "replace"))
        modified = formatdate(opened.mtime, usegmt=True)
        request.setHeader(b"etag", opened.etag.encode())
        request.setHeader(b"last-modified", modified.encode())
        request.setHeader(b"accept-ranges", b"bytes")
        if not request.responseHeaders.hasHeader(b"content-type"):
            request.setHeader(b"content-type", (self.content_type or content_type_of(self.path)).encode("latin-1"))
        if unchanged(request, opened):
            opened.file.close()
            request.setResponseCode(304)
            request.write(b"")
            request.finish()
            return
        self._send_part(opened, request)

    def _send_part(self, opened: Opened, request: Request) -> None:
        condition = request.getHeader("if-range")
        wanted = request.getHeader("range")
        if condition is not None and condition not in (opened.etag, formatdate(opened.mtime, usegmt=True)):
            wanted = None
        try:
            part = parse_range(wanted, opened.size)
        except ValueError:
            opened.file.close()
            request.setHeader(b"content-range", b"bytes */%d" % opened.size)
            request.fail(416, "")
            return
        start, end = part or (0, opened.size)
        if part is not None:
            request.setResponseCode(206)
            request.setHeader(b"content-range", b"bytes %d-%d/%d" % (start, end - 1, opened.size))
        request.setHeader(b"content-length", b"%d" % (end - start))
        if request.method == b"HEAD" or start == end:
            opened.file.close()
            request.write(b"")
            request.finish()
            return
        producer = SendfileProducer if can_send(request, end - start) else FileProducer
        producer(opened.file, start, end, request, self.in_thread or request.site.in_thread).begin()


def unchanged(request: Request, opened: Opened) -> bool:
    """The client's copy is current: RFC 9110, section 13.2.2."""
    tags = request.getHeader("if-none-match")
    if tags is not None:
        known = [tag.strip().removeprefix("W/") for tag in tags.split(",")]
        return opened.etag in known or "*" in known
    return not_newer(opened.mtime, request.getHeader("if-modified-since"))


def not_newer(modified: float, since: str | None) -> bool:
    """Whether something was changed no later than an ``If-Modified-Since`` says; one that is no date says nothing."""
    if since is None:
        return False
    try:
        return int(modified) <= parsedate_to_datetime(since).timestamp()
    except (TypeError, ValueError, OverflowError):
        return False


@implementer(IPushProducer)
class FileProducer:
    """Reads a part of a file in threads, a chunk at a time, while the client takes what is sent."""

    def __init__(self, file: BinaryIO, start: int, end: int, request: Request, in_thread: InThread) -> None:
        self._file = file
        self._start = start
        self._end = end
        self._request = request
        self._in_thread = in_thread
        self._chunk = STRANGERS_CHUNK if request.user is None else CHUNK
        self._reading: Deferred[None] | None = None
        self._paused = False
        self._stopped = False

    def begin(self) -> None:
        """Become the request's producer and send."""
        self._request.registerProducer(self, True)
        self.resumeProducing()

    def resumeProducing(self) -> None:
        """Read and send on. Called by the transport."""
        self._paused = False
        if self._reading is None and not self._stopped:
            self._reading = self._in_thread(self._read).addCallbacks(self._write, self._failed)

    def pauseProducing(self) -> None:
        """Send no more than what is being read. Called by the transport."""
        self._paused = True

    def stopProducing(self) -> None:
        """The client is gone. Called by the transport."""
        self._stopped = True
        if self._reading is None:
            self._file.close()

    def _read(self) -> bytes:
        self._file.seek(self._start)
        return self._file.read(min(self._chunk, self._end - self._start))

    def _write(self, data: bytes) -> None:
        self._reading = None
        if self._stopped:
            self._file.close()
            return
        if not data:
            self._truncated()
            return
        self._start += len(data)
        self._request.write(data)
        if self._start >= self._end:
            self._stopped = True
            self._file.close()
            self._request.unregisterProducer()
            self._request.finish()
        elif not self._paused:
            self.resumeProducing()

    def _truncated(self) -> None:
        """The file became shorter than its announced length: the connection is cut so that the client sees it."""
        self._stopped = True
        self._file.close()
        channel = self._request.channel
        self._request.unregisterProducer()
        channel.forceAbortClient()

    def _failed(self, failure: object) -> None:
        log.failure("reading a file failed", failure)  # type: ignore[arg-type]
        self._reading = None
        if not self._stopped:
            self._truncated()
