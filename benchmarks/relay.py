"""A bare relay from pyzmq to a websocket: the least a Python server could do, for the third column.

``relay.py CONNECTION_FILE PROTOCOL`` prints its port, takes one client, verifies each message's signature, makes its
frame and writes it: no state, no queue, no second client, no backpressure, one write a message. Messages from the
client are signed and sent on.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import socket
import struct
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import zmq

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from benchmarks.kernel import DELIMITER
from benchmarks.websocket import BINARY, CHUNK, TEXT, V1, _frame, pack_json, pack_v1

PARTS = ("header", "parent_header", "metadata", "content")
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Relay:
    def __init__(self, connection: dict[str, Any], protocol: str) -> None:
        self.v1 = protocol == V1
        self.key = hmac.new(connection["key"].encode(), digestmod=hashlib.sha256)
        self.context = zmq.Context()
        self.iopub = self._connect(connection, "iopub", zmq.SUB)
        self.iopub.subscribe(b"")
        self.shell = self._connect(connection, "shell", zmq.DEALER)
        self.bytes = bytearray()

    def _connect(self, connection: dict[str, Any], channel: str, kind: int) -> zmq.Socket[bytes]:
        sock = self.context.socket(kind)
        sock.linger = 0
        sock.connect(f"tcp://{connection['ip']}:{connection[channel + '_port']}")
        return sock

    def accept(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            print(server.getsockname()[1], flush=True)
            server.settimeout(30.0)
            self.client, _ = server.accept()
        self.client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        head = b""
        while b"\r\n\r\n" not in head:
            head += self.client.recv(CHUNK)
        key = next(line.split(b": ")[1] for line in head.split(b"\r\n") if line.startswith(b"Sec-WebSocket-Key"))
        accept = base64.b64encode(hashlib.sha1(key + GUID).digest())
        self.client.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )

    def down(self, sock: zmq.Socket[bytes], channel: bytes) -> None:
        """Kernel to client, at most 100 messages."""
        for _ in range(100):
            try:
                frames = sock.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            cut = frames.index(DELIMITER)
            signature, header, parent, metadata, content, *buffers = frames[cut + 1 :]
            mac = self.key.copy()
            for part in (header, parent, metadata, content):
                mac.update(part)
            if not hmac.compare_digest(mac.hexdigest().encode(), signature):
                raise ValueError("signature")
            self.write(channel, header, parent, metadata, content, *buffers)

    def write(self, channel: bytes, *message: bytes) -> None:
        """One frame, in one write; big buffers are written as they are, never joined."""
        header, parent, metadata, content, *buffers = message
        if self.v1:
            payload = pack_v1([channel, header, parent, metadata, content], buffers)
        else:
            payload = (
                b'{"channel": "%s", "header": %s, "parent_header": %s, "metadata": %s, "content": %s, "buffers": []}'
                % (channel, header, parent, metadata, content)
            )
            if buffers:
                payload = pack_json(payload, buffers)
        opcode = BINARY if self.v1 or buffers else TEXT
        size = len(payload) + sum(map(len, buffers))
        if size < 126:
            head = bytes((0x80 | opcode, size))
        elif size < 65536:
            head = struct.pack("!BBH", 0x80 | opcode, 126, size)
        else:
            head = struct.pack("!BBQ", 0x80 | opcode, 127, size)
        self.client.sendall(head + payload)
        for buffer in buffers:
            self.client.sendall(buffer)

    def up(self) -> bool:
        """Client to kernel; False when the client is gone."""
        received = self.client.recv(CHUNK)
        self.bytes += received
        while (cut := _frame(self.bytes, 0)) is not None:
            _, start, end = cut
            payload = bytes(self.bytes[start + 4 : end + 4])  # the mask: four zeros
            if len(self.bytes) < end + 4:
                break
            del self.bytes[: end + 4]
            if self.v1:
                (count,) = struct.unpack_from("<Q", payload)
                offsets = struct.unpack_from(f"<{count}Q", payload, 8)
                _, *parts = [payload[a:b] for a, b in pairwise(offsets)]
            else:
                message = json.loads(payload)
                parts = [json.dumps(message[part]).encode() for part in PARTS]
            mac = self.key.copy()
            for part in parts[:4]:
                mac.update(part)
            self.shell.send_multipart([DELIMITER, mac.hexdigest().encode(), *parts])
        return bool(received)

    def run(self) -> None:
        poller = zmq.Poller()
        for sock in (self.iopub, self.shell, self.client):
            poller.register(sock, zmq.POLLIN)
        client, alive = self.client.fileno(), True
        while alive:
            for sock, _ in poller.poll(60_000):
                if sock is self.iopub:
                    self.down(self.iopub, b"iopub")
                elif sock is self.shell:
                    self.down(self.shell, b"shell")
                elif sock == client:
                    alive = self.up()


if __name__ == "__main__":
    relay = Relay(json.loads(Path(sys.argv[1]).read_bytes()), sys.argv[2] if len(sys.argv) > 2 else "")
    relay.accept()
    relay.run()
