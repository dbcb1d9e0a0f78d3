"""One daemon, or one command, at a keeper's socket."""

from __future__ import annotations

import os
import socket
from collections import deque
from collections.abc import Iterator
from contextlib import suppress

from jupyterd.keeper.wire import Decoder, Message, encode

UNREAD = 4 * 1024 * 1024
"""Bytes that wait for a daemon that does not read; one that lets more come is cut off."""

SPARE = 256 * 1024
"""Where so much waits, what may be left out is."""

MAX_FDS = 16


class Connection:
    """Reads requests, writes answers and events; never blocks.

    :ivar claimed: it is the daemon whose children these are.
    """

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._decoder = Decoder()
        self._fds: deque[int] = deque()
        self._out: deque[tuple[bytes, tuple[int, ...]]] = deque()
        self._waiting = 0
        self.claimed = False
        self.closed = False

    def fileno(self) -> int:
        """Its descriptor."""
        return self._sock.fileno()

    @property
    def has_more(self) -> bool:
        """Something waits to be written."""
        return bool(self._out)

    def read(self) -> Iterator[tuple[Message, list[int]]]:
        """The requests that have come, each with its descriptors.

        :raises BadFrame: it does not speak our protocol.
        :raises ConnectionError: it is gone.
        """
        try:
            data, fds, _, _ = socket.recv_fds(self._sock, 256 * 1024, MAX_FDS)
        except BlockingIOError:
            return
        for fd in fds:
            os.set_inheritable(fd, False)
        self._fds.extend(fds)
        if not data:
            raise ConnectionResetError("closed")
        for message in self._decoder.feed(data):
            yield message, [self._fds.popleft() for _ in range(int(message.get("fds") or 0)) if self._fds]

    def send(self, message: Message, fds: tuple[int, ...] = ()) -> None:
        """Write a message, now or as soon as it is read."""
        if fds:
            message = {**message, "fds": len(fds)}
        data = encode(message)
        if self._waiting + len(data) > UNREAD:
            self.close()
            return
        self._out.append((data, tuple(os.dup(fd) for fd in fds)))
        self._waiting += len(data)
        self.flush()

    def send_if_read(self, message: Message) -> bool:
        """Write what may be left out; whether it was not."""
        if self._waiting > SPARE:
            return False
        self.send(message)
        return True

    def flush(self) -> None:
        """Write what waits."""
        try:
            while self._out and not self.closed:
                data, fds = self._out.popleft()
                try:
                    sent = socket.send_fds(self._sock, [data], list(fds)) if fds else self._sock.send(data)
                except BlockingIOError:
                    self._out.appendleft((data, fds))
                    return
                for fd in fds:
                    os.close(fd)
                self._waiting -= sent
                if sent < len(data):
                    self._out.appendleft((data[sent:], ()))
        except OSError:
            self.close()

    def close(self) -> None:
        """Hang up."""
        self.closed = True
        for fd in self._fds:
            os.close(fd)
        self._fds.clear()
        for _, fds in self._out:
            for fd in fds:
                os.close(fd)
        self._out.clear()
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
