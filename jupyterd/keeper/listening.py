"""Listening to a kernel beside the daemon, and in its place.

While a daemon is there it is the daemon that records what the kernel says. What the daemon has heard and not stored yet
dies with it, and so does what is under way to it. So the keeper listens along: what came last is kept in memory, until
the daemon says that it has stored it. A kernel that floods is not listened to along, that would cost a core; then a
moment of it is lost when its daemon is killed, which the kernel's own numbers tell.

While no daemon is there all is written to a file, replies to its requests as well where the kernel lets the keeper take
the daemon's place.
"""

from __future__ import annotations

import os
import time
from collections import deque
from contextlib import suppress
from typing import Any

import zmq

from jupyterd.keeper import record

RING = 2 * 1024 * 1024
"""Bytes that are kept in memory of each kernel until the daemon has stored them."""

RATE, BURST = 2000, 3000
"""Messages a second, and at once, up to which a kernel is listened to along."""

BYTES_A_SECOND, BYTES_AT_ONCE = 8 * 1024 * 1024, 16 * 1024 * 1024
"""The same in bytes."""

AGAIN = 1.0
"""Seconds until a kernel that flooded is listened to again."""

TURN = 256
"""Messages that are read of one socket before others have their turn."""

HIGH_WATER = 1000


class Budget:
    """So much a second, so much at once."""

    def __init__(self, rate: float, most: float) -> None:
        self._rate, self._most = rate, most
        self._left, self._at = most, time.monotonic()

    def spend(self, amount: float) -> bool:
        """Whether there is so much left."""
        now = time.monotonic()
        self._left = min(self._most, self._left + (now - self._at) * self._rate) - amount
        self._at = now
        return self._left >= 0


class Listener:
    """One kernel's.

    :param request: ``name``, ``addresses`` by channel, ``file``, ``quota``; ``identity`` and ``handover`` where replies
        can be taken, ``curve_publickey`` and ``curve_secretkey`` where there is encryption.
    :ivar recording: no daemon is there: all is written to the file.
    :ivar lost: how many messages were not, because the file has its size or the disk is full.
    """

    def __init__(self, context: zmq.Context[Any], request: dict[str, Any]) -> None:
        self._context, self._request = context, request
        self.name: str = request["name"]
        self.path: str = request["file"]
        self._quota = int(request.get("quota") or 0)
        self.recording = False
        self.lost = 0
        self.size = os.path.getsize(self.path) if os.path.exists(self.path) else 0
        self._file = -1
        self._ring: deque[bytes] = deque()
        self._ring_size = 0
        self._messages, self._bytes = Budget(RATE, BURST), Budget(BYTES_A_SECOND, BYTES_AT_ONCE)
        self.sockets: dict[int, Any] = {}
        self.silent_until = 0.0
        self._heard = 0
        self._iopub = self._connect(0, zmq.SUB)
        self._iopub.subscribe(b"")

    def _connect(self, channel: int, kind: int) -> Any:
        socket = self._context.socket(kind)
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.RCVHWM, HIGH_WATER)
        request = self._request
        if kind == zmq.DEALER:
            socket.setsockopt(zmq.IDENTITY, str(request["identity"]).encode())
        if request.get("curve_publickey") and request.get("curve_secretkey"):
            socket.curve_publickey = socket.curve_serverkey = str(request["curve_publickey"]).encode()
            socket.curve_secretkey = str(request["curve_secretkey"]).encode()
        socket.connect(request["addresses"][record.CHANNELS[channel].decode()])
        self.sockets[channel] = socket
        return socket

    # -- hearing

    def read(self) -> bool:
        """Take what has come; whether there may be more now."""
        more = False
        out: list[bytes] = []
        for channel, socket in list(self.sockets.items()):
            more = self._read(channel, socket, out) or more
        if out:
            self._write(out)
        return more

    def _read(self, channel: int, socket: Any, out: list[bytes]) -> bool:
        try:
            for _ in range(TURN):
                frames = socket.recv_multipart(zmq.NOBLOCK)
                self._heard += 1
                packed = record.pack(time.time(), channel, frames)
                if packed is None:
                    continue
                if self.recording:
                    out.append(packed)
                elif not self._keep(packed):
                    return False
        except zmq.ZMQError:
            return False
        return True

    def _keep(self, packed: bytes) -> bool:
        self._ring.append(packed)
        self._ring_size += len(packed)
        while self._ring_size > RING and len(self._ring) > 1:
            self._ring_size -= len(self._ring.popleft())
        if self._messages.spend(1) and self._bytes.spend(len(packed)):
            return True
        self._ring.clear()  # there will be a hole behind it: the daemon has stored it before we could need it
        self._ring_size = 0
        self._iopub.unsubscribe(b"")
        self.silent_until = time.monotonic() + AGAIN
        with suppress(zmq.ZMQError):
            while True:  # what was under way
                self._iopub.recv_multipart(zmq.NOBLOCK)
        return False

    def listen_again(self) -> None:
        """The kernel may have ended its flood."""
        if self.silent_until:
            self.silent_until = 0.0
            self._messages, self._bytes = Budget(RATE, BURST / 10), Budget(BYTES_A_SECOND, BYTES_AT_ONCE / 10)
            self._iopub.subscribe(b"")

    def stored(self, signature: bytes) -> None:
        """The daemon has stored the message of that signature, and all before it."""
        for index, packed in enumerate(self._ring):
            if record.signature(packed) == signature:
                for _ in range(index + 1):
                    self._ring_size -= len(self._ring.popleft())
                return

    # -- recording

    def model(self) -> dict[str, Any]:
        """As the daemon is told."""
        return {
            "name": self.name,
            "file": self.path,
            "size": self.size,
            "recording": self.recording,
            "lost": self.lost,
            "heard": self._heard,
        }

    @property
    def heard(self) -> int:
        """How many messages there were in all."""
        return self._heard

    def record(self, replies: bool) -> None:
        """Write all to the file from now on, first what is in memory.

        :param replies: the daemon is gone: take what the kernel replies to it.
        """
        if not self.recording:
            self.recording = True
            self.listen_again()
            ring, self._ring, self._ring_size = list(self._ring), deque(), 0
            self._write(ring)
        if replies and self._request.get("identity") and self._request.get("handover") and len(self.sockets) == 1:
            for channel in range(1, len(record.CHANNELS)):
                self._connect(channel, zmq.DEALER)

    def hang_up(self) -> None:
        """A daemon takes the replies from now on."""
        out: list[bytes] = []
        for channel in [number for number in self.sockets if number]:
            socket = self.sockets.pop(channel)
            while self._read(channel, socket, out):
                pass
            socket.close(0)
        if out:
            self._write(out)

    def _write(self, out: list[bytes]) -> None:
        data = b"".join(out)
        if self._quota and self.size + len(data) > self._quota:
            self.lost += len(out)
            return
        try:
            if self._file < 0:
                os.makedirs(os.path.dirname(self.path), mode=0o700, exist_ok=True)
                flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
                self._file = os.open(self.path, flags, 0o600)
                self.size = os.lseek(self._file, 0, os.SEEK_END)
            _write_all(self._file, data)
        except OSError:
            self.lost += len(out)
            if self._file >= 0:
                with suppress(OSError):
                    os.ftruncate(self._file, self.size)
                    os.lseek(self._file, self.size, os.SEEK_SET)
            return
        self.size += len(data)

    def release(self) -> None:
        """A daemon hears the kernel itself: only listen along."""
        self.recording = False

    def forget_file(self) -> None:
        """A daemon has taken all that is in the file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
        with suppress(OSError):
            os.unlink(self.path)
        self.size = self.lost = 0

    def close(self) -> None:
        """Listen no more."""
        for socket in self.sockets.values():
            socket.close(0)
        self.sockets.clear()
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
