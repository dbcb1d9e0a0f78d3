"""Slices of large answers: memory holds what the client is about to take."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

from jupyterd.web.self_writing_reply import Served

if TYPE_CHECKING:
    from jupyterd.web.server.request import Request

SLICE = 256 * 1024


class _Json(Served):
    """JSON of a known length.

    :param headers: more response headers.
    """

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._headers = headers

    def _begin(self, request: Request, size: int, producer: SliceProducer) -> None:
        for name, value in self._headers.items():
            request.setHeader(name.encode("ascii"), value.encode("latin-1", "replace"))
        request.setHeader(b"content-type", b"application/json")
        request.setHeader(b"content-length", b"%d" % size)
        if request.method == b"HEAD":
            producer.stopProducing()
            request.write(b"")
            request.finish()
        else:
            producer.begin()


class InSlices(_Json):
    """A body in memory that is not copied as a whole once more."""

    def __init__(self, body: bytes, headers: Mapping[str, str]) -> None:
        super().__init__(headers)
        self._body = body

    def serve(self, request: Request) -> None:
        """Send it."""
        self._begin(request, len(self._body), MemorySlices(request, self._body))


class Temporary(_Json):
    """A temporary file, just written, that is removed once it is open."""

    def __init__(self, os_path: str, headers: Mapping[str, str]) -> None:
        super().__init__(headers)
        self._os_path = os_path

    def serve(self, request: Request) -> None:
        """Send it."""
        fd = os.open(self._os_path, os.O_RDONLY | os.O_CLOEXEC)
        with suppress(OSError):
            os.unlink(self._os_path)
        size = os.fstat(fd).st_size
        self._begin(request, size, FileSlices(request, fd, size))


@implementer(IPushProducer)
class SliceProducer:
    """Slices, until the transport has enough."""

    def __init__(self, request: Request, size: int) -> None:
        self._request = request
        self._size = size
        self._at = 0
        self._flowing = False

    def begin(self) -> None:
        """Write the head, then become the request's producer."""
        self._request.registerProducer(self, True)
        self.resumeProducing()

    def slice(self, start: int, end: int) -> bytes:
        """Some of the body."""
        raise NotImplementedError

    def resumeProducing(self) -> None:
        """Send slices. Called by the transport."""
        self._flowing = True
        while self._flowing:
            self._send()

    def pauseProducing(self) -> None:
        """The transport has enough. Called by it."""
        self._flowing = False

    def _send(self) -> None:
        end = min(self._at + SLICE, self._size)
        data = self.slice(self._at, end)
        self._at = end
        if end < self._size:
            self._request.write(data)
        else:
            self.stopProducing()
            self._request.unregisterProducer()
            self._request.write(data)
            self._request.finish()

    def stopProducing(self) -> None:
        """No more is wanted. Called by the transport."""
        self._flowing = False


class MemorySlices(SliceProducer):
    """Slices of bytes."""

    def __init__(self, request: Request, body: bytes) -> None:
        super().__init__(request, len(body))
        self._body = memoryview(body)

    def slice(self, start: int, end: int) -> bytes:
        """Copied: the transport wants bytes."""
        return bytes(self._body[start:end])


class FileSlices(SliceProducer):
    """Of a file that the system still has in its cache, so that reading it does not wait."""

    def __init__(self, request: Request, fd: int, size: int) -> None:
        super().__init__(request, size)
        self._fd: int | None = fd

    def slice(self, start: int, end: int) -> bytes:
        """Read."""
        assert self._fd is not None
        return os.pread(self._fd, end - start, start)

    def stopProducing(self) -> None:
        """Close the file."""
        super().stopProducing()
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
