"""Sends on a UNIX socket, counted by the system: what it has taken is known of a daemon that was killed too.

TCP tells how many bytes it has taken, a UNIX socket does not. So the bytes are written to a file in memory and sent
from there: one system call gives them to the socket and moves the file's position by as many as it took. No kill falls
between, and who has another descriptor of the file reads the position. Source: Linux, sendfile(2), memfd_create(2).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from errno import EAGAIN, ENOBUFS
from typing import Any

from jupyterd.kernels.messages.websocket_codec import Bytes

AT_ONCE = 128 * 1024
"""Bytes that are tried at once: a UNIX socket takes somewhat more."""

KEPT = 1024 * 1024
"""Bytes after which what was sent is let go of. The receiver has a share in pages that it has not read: so nothing is
written twice to one and the file is emptied as a whole, never in part, where the system wipes what it can not free."""


class CountedSends:
    """Those of one transport of Twisted's, in place of its own.

    :param failed: called before anything is sent that is not counted: the system does not do it, or not any more.
    :ivar fd: of the file; its position is the count.
    :raises OSError: there can be no such file.
    """

    def __init__(self, transport: Any, failed: Callable[[], None]) -> None:
        self.fd = os.memfd_create("jupyterd-sent", os.MFD_CLOEXEC)
        self._transport, self._failed = transport, failed
        self._at = self._emptied = 0
        transport.writeSomeData = self._send

    def _send(self, data: Bytes) -> int | Exception:
        """As a transport's ``writeSomeData``: how many bytes were taken, or that the connection is lost."""
        view = memoryview(data)[:AT_ONCE]
        try:
            size = os.pwrite(self.fd, view, self._at)
            sent = os.sendfile(self._transport.fileno(), self.fd, None, size)
        except OSError as error:
            if error.errno in (EAGAIN, ENOBUFS):
                return 0
            self.close()
            self._failed()
            return self._transport.writeSomeData(data)  # type: ignore[no-any-return]  # it knows what an error means
        self._at += sent
        if self._at - self._emptied > KEPT:
            os.ftruncate(self.fd, 0)
            self._emptied = self._at
        return sent

    def close(self) -> None:
        """Count no more: the transport sends by itself."""
        if self.fd >= 0:
            self._transport.__dict__.pop("writeSomeData", None)
            os.close(self.fd)
            self.fd = -1
