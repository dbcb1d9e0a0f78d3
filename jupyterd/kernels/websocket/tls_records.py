"""Records of TLS on one connection: where each ends, in clear and encrypted."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

RECORD = 16 * 1024
"""Bytes of text in one record. Source: RFC 8446, section 5.1."""

RECORDS = 256
"""Records remembered before it is asked which have arrived."""


class TLSRecords:
    """Those from now on. Twisted's TLS gives each to the socket's transport at once, which is noted here.

    :param tls: Twisted's TLS of the connection.
    :param below: the transport that it writes to.
    :param left: how many encrypted bytes have not arrived.
    :ivar clear: bytes so far, in clear.
    :ivar encrypted: the same, encrypted, and what TLS says by itself.
    :ivar noted: see :class:`jupyterd.kernels.log.cursor.Records`.
    """

    def __init__(self, tls: Any, below: Any, left: Callable[[], int]) -> None:
        self._tls, self._left = tls, left
        self.clear = self.encrypted = 0
        self.noted: Callable[[int, int], None] | None = None
        self._records: deque[tuple[int, int]] = deque()
        self._arrived = 0
        aggregator = getattr(tls, "_aggregator", None)
        if aggregator is not None:
            aggregator.flush()  # what was written before is not counted
        self._encrypt, tls._write = tls._write, self._write
        self._write_below, below.write = below.write, self._pass_on

    def _pass_on(self, data: bytes) -> None:
        self.encrypted += len(data)
        self._write_below(data)

    def _write(self, data: bytes) -> None:
        """In place of Twisted's, which cuts the same records."""
        for begin in range(0, len(data), RECORD):
            record = data[begin : begin + RECORD]
            waiting = len(self._tls._appSendBuffer)
            self._encrypt(record)
            if len(self._tls._appSendBuffer) == waiting:  # else it comes again
                self.clear += len(record)
                self._records.append((self.encrypted, self.clear))
                if self.noted is not None:  # the transport keeps it until the reactor's next turn
                    self.noted(self.encrypted, self.clear)
        if len(self._records) > RECORDS:
            self.arrived()

    def arrived(self) -> int:
        """How many bytes have, in clear; their records are forgotten."""
        arrived = self.encrypted - self._left()
        while self._records and self._records[0][0] <= arrived:
            self._arrived = self._records.popleft()[1]
        return self._arrived

    def without(self, last: int) -> int:
        """How many bytes there are in clear without the ``last`` ones of the encrypted, which have not arrived."""
        if not last:
            return self.clear
        end = self.encrypted - last
        return next((clear for encrypted, clear in reversed(self._records) if encrypted <= end), self._arrived)
