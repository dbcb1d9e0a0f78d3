"""A websocket client in memory: the handshake and frames of RFC 6455, written out by hand."""

from __future__ import annotations

import json
import struct
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure

from jupyterd.testing.http import MemorySite

KEY = "dGhlIHNhbXBsZSBub25jZQ=="


class Socket:
    """A client of one websocket of a :class:`MemorySite`."""

    def __init__(self, site: MemorySite, path: str) -> None:
        self.connection = site.connect()
        self.transport = self.connection.transport
        self.connection.send(
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:8888\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        head, _, self._data = self.connection.received().partition(b"\r\n\r\n")
        self.status = int(head.split(b" ")[1])
        self.close_code: int | None = None

    def send(self, value: Any) -> None:
        """One text message: a string as it is, anything else as JSON."""
        text = value if isinstance(value, str) else json.dumps(value)
        self.connection.send(frame(text.encode()))

    def receive(self) -> list[Any]:
        """The JSON messages that have come since the last call."""
        self._data += self.connection.received()
        messages = []
        while len(self._data) >= 2:
            opcode, length, start = self._data[0] & 15, self._data[1] & 127, 2
            if length == 126:
                (length,), start = struct.unpack(">H", self._data[2:4]), 4
            elif length == 127:
                (length,), start = struct.unpack(">Q", self._data[2:10]), 10
            payload, self._data = self._data[start : start + length], self._data[start + length :]
            if opcode == 8:
                self.close_code = struct.unpack(">H", payload[:2])[0]
            elif opcode in (1, 2):
                messages.append(json.loads(payload))
        return messages

    def stop_reading(self) -> None:
        """Read as slowly as nobody: the transport's buffer is full."""
        self.transport.producer.pauseProducing()

    def read_on(self) -> None:
        self.transport.producer.resumeProducing()

    def vanish(self) -> None:
        """The connection is lost."""
        (self.transport.protocol or self.connection.protocol).connectionLost(Failure(ConnectionDone()))


def frame(payload: bytes, opcode: int = 1) -> bytes:
    """A masked frame, all of a message."""
    mask = b"\1\2\3\4"
    size = len(payload)
    length = bytes([128 | size]) if size < 126 else b"\xfe" + struct.pack(">H", size)
    if size > 0xFFFF:
        length = b"\xff" + struct.pack(">Q", size)
    return bytes([128 | opcode]) + length + mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))
