"""The smallest websocket client that can measure: it collects bytes, and parses after the clock has stopped."""

from __future__ import annotations

import base64
import json
import os
import selectors
import socket
import struct
import time
import uuid
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

V1 = "v1.kernel.websocket.jupyter.org"
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
CHUNK = 1 << 18


class WebSocket:
    """One tab. ``protocol`` is "" for the default JSON protocol or :data:`V1`.

    :ivar metadata: of each request: with a ``cellId``, a cell's outputs are kept until a save holds them.
    """

    def __init__(self, port: int, path: str, token: str, protocol: str = "") -> None:
        self.protocol = protocol
        self.session = uuid.uuid4().hex
        self.metadata: dict[str, Any] = {}
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=60.0)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.bytes = bytearray()
        key = base64.b64encode(os.urandom(16)).decode()
        offer = f"Sec-WebSocket-Protocol: {protocol}\r\n" if protocol else ""
        self.sock.sendall(
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n{offer}"
            f"Authorization: token {token}\r\n\r\n".encode()
        )
        head = bytearray()
        while b"\r\n\r\n" not in head:
            received = self.sock.recv(CHUNK)
            if not received:
                raise ConnectionError(f"closed in the handshake: {bytes(head[:300])!r}")
            head += received
        head, _, self.bytes = head.partition(b"\r\n\r\n")
        if b" 101 " not in head.split(b"\r\n")[0]:
            raise ConnectionError(bytes(head[:300]).decode())

    def close(self) -> None:
        self.sock.close()

    def send_frame(self, opcode: int, payload: bytes) -> None:
        """One frame, masked by zeros: legal, and costs the client nothing."""
        size = len(payload)
        if size < 126:
            head = struct.pack("!BB", 0x80 | opcode, 0x80 | size)
        elif size < 65536:
            head = struct.pack("!BBH", 0x80 | opcode, 0x80 | 126, size)
        else:
            head = struct.pack("!BBQ", 0x80 | opcode, 0x80 | 127, size)
        self.sock.sendall(b"".join((head, bytes(4), payload)))

    def request(
        self, msg_type: str, content: dict[str, Any], channel: str = "shell", buffers: Sequence[bytes] = ()
    ) -> str:
        """Send one message to the kernel; its id."""
        msg_id = uuid.uuid4().hex
        header = {
            "msg_id": msg_id, "msg_type": msg_type, "session": self.session, "username": "",
            "date": "2026-01-01T00:00:00.000000Z", "version": "5.3",
        }  # fmt: skip
        if self.protocol == V1:
            parts = [json.dumps(part).encode() for part in (header, {}, self.metadata, content)]
            self.send_frame(BINARY, b"".join((pack_v1([channel.encode(), *parts], buffers), *buffers)))
            return msg_id
        message = json.dumps({
            "channel": channel, "header": header, "parent_header": {}, "metadata": self.metadata, "content": content,
            "buffers": [],
        }).encode()  # fmt: skip
        if buffers:
            self.send_frame(BINARY, b"".join((pack_json(message, buffers), *buffers)))
        else:
            self.send_frame(TEXT, message)
        return msg_id

    def execute(self, code: str, **content: Any) -> str:
        rest = {"silent": False, "store_history": False, "user_expressions": {}, "allow_stdin": False, **content}
        return self.request("execute_request", {"code": code, **rest})

    def next_frame(self) -> memoryview | None:
        """The next message's payload if it is all there. Pings are answered."""
        while True:
            cut = _frame(self.bytes, 0)
            if cut is None:
                return None
            opcode, start, end = cut
            payload = bytes(memoryview(self.bytes)[start:end])
            del self.bytes[:end]
            if opcode == PING:
                self.send_frame(PONG, payload)
            elif opcode == CLOSE:
                raise ConnectionError(f"closed by the server: {payload!r}")
            elif opcode in (TEXT, BINARY):
                return memoryview(payload)

    def receive_frame(self, timeout: float = 60.0) -> memoryview:
        """The next message's payload."""
        self.sock.settimeout(timeout)
        while (frame := self.next_frame()) is None:
            received = self.sock.recv(CHUNK)
            if not received:
                raise ConnectionError("closed by the server")
            self.bytes += received
        return frame

    def receive(self, timeout: float = 60.0) -> dict[str, Any]:
        """The next message, decoded: ``channel``, ``header``, ``parent_header``, ``content``, ``buffers``."""
        return decode(self.receive_frame(timeout), self.protocol)

    def until_idle(self, msg_id: str, timeout: float = 60.0) -> list[dict[str, Any]]:
        """All messages until the kernel has both replied to ``msg_id`` and gone idle after it."""
        messages, wanted = [], {"reply", "idle"}
        while wanted:
            message = self.receive(timeout)
            messages.append(message)
            if message["parent_header"].get("msg_id") == msg_id:
                if message["header"]["msg_type"].endswith("_reply"):
                    wanted.discard("reply")
                elif message["content"].get("execution_state") == "idle":
                    wanted.discard("idle")
        return messages

    def messages(self) -> Iterator[dict[str, Any]]:
        """All that was collected, decoded."""
        for payload in payloads(self.bytes):
            yield decode(payload, self.protocol)


def collect(tabs: Sequence[WebSocket], mark: bytes, timeout: float) -> None:
    """Read on all ``tabs`` until each has received ``mark``; nothing is parsed. Raises TimeoutError."""
    with selectors.DefaultSelector() as selector:
        for tab in tabs:
            tab.sock.setblocking(False)
            selector.register(tab.sock, selectors.EVENT_READ, tab)
        waiting = {id(tab) for tab in tabs if tab.bytes.find(mark) < 0}
        deadline = time.monotonic() + timeout
        while waiting:
            ready = selector.select(1.0)
            for key, _ in ready:
                one: WebSocket = key.data
                received = one.sock.recv(CHUNK)
                seen = max(0, len(one.bytes) - len(mark))
                one.bytes += received
                if one.bytes.find(mark, seen) >= 0:
                    waiting.discard(id(one))
                if not received:
                    raise ConnectionError("closed by the server")
            if time.monotonic() > deadline:
                raise TimeoutError(f"{len(waiting)} of {len(tabs)} tabs did not see the end")
    for tab in tabs:
        tab.sock.setblocking(True)


def _frame(data: bytearray, at: int) -> tuple[int, int, int] | None:
    """Opcode, start and end of the payload of the frame at ``at``, or None if it is not whole."""
    if len(data) - at < 2:
        return None
    size, start = data[at + 1] & 127, at + 2
    if size == 126:
        if len(data) - at < 4:
            return None
        (size,), start = struct.unpack_from("!H", data, start), at + 4
    elif size == 127:
        if len(data) - at < 10:
            return None
        (size,), start = struct.unpack_from("!Q", data, start), at + 10
    if not data[at] & 0x80:
        raise NotImplementedError("fragments")
    return (data[at] & 15, start, start + size) if len(data) >= start + size else None


def payloads(data: bytearray) -> Iterator[memoryview]:
    """The payloads of all whole text and binary frames in ``data``."""
    view, at = memoryview(data), 0
    while (cut := _frame(data, at)) is not None:
        opcode, start, at = cut
        if opcode in (TEXT, BINARY):
            yield view[start:at]


def decode(payload: memoryview, protocol: str) -> dict[str, Any]:
    """A message of either websocket protocol."""
    if protocol == V1:
        (count,) = struct.unpack_from("<Q", payload)
        offsets = struct.unpack_from(f"<{count}Q", payload, 8)
        channel, header, parent, _, content, *buffers = (payload[a:b] for a, b in pairwise(offsets))
        return {
            "channel": bytes(channel).decode(), "header": json.loads(bytes(header)), "buffers": buffers,
            "parent_header": json.loads(bytes(parent)), "content": json.loads(bytes(content)),
        }  # fmt: skip
    if payload[0] == ord("{"):
        return dict(json.loads(bytes(payload)))
    (count,) = struct.unpack_from("!I", payload)
    offsets = (*struct.unpack_from(f"!{count}I", payload, 4), len(payload))
    message, *buffers = (payload[a:b] for a, b in pairwise(offsets))
    return {**json.loads(bytes(message)), "buffers": buffers}


def pack_v1(parts: Sequence[bytes], buffers: Sequence[bytes] = ()) -> bytes:
    """All before the buffers: offsets (little-endian 64 bit, their count first), then the parts."""
    offsets = [8 * (len(parts) + len(buffers) + 2)]
    for part in (*parts, *buffers):
        offsets.append(offsets[-1] + len(part))
    return b"".join([struct.pack(f"<{len(offsets) + 1}Q", len(offsets), *offsets), *parts])


def pack_json(message: bytes, buffers: Sequence[bytes]) -> bytes:
    """All before the buffers in the default protocol: offsets (big-endian 32 bit, count first), the JSON."""
    offsets = [4 * (len(buffers) + 2)]
    for part in (message, *buffers[:-1]):
        offsets.append(offsets[-1] + len(part))
    return struct.pack(f"!{len(offsets) + 1}I", len(offsets), *offsets) + message
