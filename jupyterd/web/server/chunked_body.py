"""Chunked bodies, read more strictly: what a proxy in front might read differently is refused.

Source: RFC 9112, section 7.1.
"""

from __future__ import annotations

import re

from twisted.web import http

LARGEST_CHUNK = 2**60  # bytes; numbers of more than 64 bits have been cut off by some
_TRAILER = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[^\0\r\n]*")


class Chunks(http._ChunkedTransferDecoder):
    """Twisted's decoder, which takes any size, any line as a trailer, and waits for the CR before an LF."""

    def _dataReceived_CHUNK_LENGTH(self) -> bool:
        if not super()._dataReceived_CHUNK_LENGTH():
            if b"\n" in self._buffer:
                raise http._MalformedChunkedDataError("A line does not end with CR LF")
            return False
        if self.length > LARGEST_CHUNK:
            raise http._MalformedChunkedDataError("A chunk is too large")
        return True

    def _dataReceived_TRAILER(self) -> bool:
        more = super()._dataReceived_TRAILER()
        if self._trailerHeaders and _TRAILER.fullmatch(self._trailerHeaders.pop()) is None:
            raise http._MalformedChunkedDataError("A trailer is no header")
        return more
