"""Rate limits of the reference, as a function of when messages came and how large they were.

Off by default (``ZMQChannelsWebsocketConnection.limit_rate``): the log bounds memory without dropping. Source: the
reference's documented behaviour of ``iopub_msg_rate_limit``, ``iopub_data_rate_limit`` and ``rate_limit_window``,
tried against it.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import msgspec

from jupyterd.kernels.messages.websocket_codec import UNREADABLE, Parts, read_header

UNCOUNTED = frozenset(("status", "comm_open", "execute_input"))
RESUME = 0.8
"""A limit that was exceeded is over when the rate is below this part of it."""


class _Status(msgspec.Struct):
    execution_state: str = ""


_read_status = msgspec.json.Decoder(_Status).decode


@dataclass(frozen=True)
class Verdict:
    """Whether a message passes, and what the client is told before it."""

    passes: bool = True
    texts: tuple[str, ...] = ()


PASS, HOLD = Verdict(), Verdict(False)


@dataclass
class RateLimit:
    """Rates of one client.

    :param messages: messages a second; 0 or less for no limit.
    :param bytes: bytes of ``stream`` messages a second; 0 or less for no limit.
    :param window: seconds over which both are taken.
    """

    messages: float
    bytes: float
    window: float
    _passed: deque[tuple[float, int]] = field(default_factory=deque)
    _bytes: int = 0
    _over_messages: bool = False
    _over_bytes: bool = False

    def judge(self, now: float, parts: Parts) -> Verdict:
        """What happens to an iopub message that came at ``now``, in seconds."""
        try:
            msg_type = read_header(parts[0]).msg_type
        except UNREADABLE:
            return PASS
        if msg_type == "status" and self._is_idle(parts):
            self.reset()
        if msg_type in UNCOUNTED:
            return PASS
        size = sum(map(len, parts)) if msg_type == "stream" else 0
        self._expire(now)
        texts = self._check((len(self._passed) + 1) / self.window, (self._bytes + size) / self.window)
        if self._over_messages or self._over_bytes:
            return Verdict(False, texts) if texts else HOLD
        self._passed.append((now + self.window, size))
        self._bytes += size
        return PASS

    def reset(self) -> None:
        """Begin anew: the kernel is idle, and running all cells should not add up."""
        self._passed.clear()
        self._bytes = 0
        self._over_messages = self._over_bytes = False

    def _is_idle(self, parts: Parts) -> bool:
        try:
            return _read_status(parts[3]).execution_state == "idle"
        except UNREADABLE:
            return False

    def _expire(self, now: float) -> None:
        while self._passed and now >= self._passed[0][0]:
            self._bytes -= self._passed.popleft()[1]

    def _check(self, message_rate: float, data_rate: float) -> tuple[str, ...]:
        texts = []
        if 0 < self.messages < message_rate:
            if not self._over_messages:
                texts.append(_text("message", "iopub_msg_rate_limit", self.messages, "msgs/sec", self.window))
            self._over_messages = True
        elif message_rate < RESUME * self.messages:
            self._over_messages = False
        if 0 < self.bytes < data_rate:
            if not self._over_bytes:
                texts.append(_text("data", "iopub_data_rate_limit", self.bytes, "bytes/sec", self.window))
            self._over_bytes = True
        elif data_rate < RESUME * self.bytes:
            self._over_bytes = False
        return tuple(texts)


def _text(what: str, trait: str, limit: float, unit: str, window: float) -> str:
    return (
        f"IOPub {what} rate exceeded: this server holds output back for a while, to spare the browser.\n"
        f"The setting `--ZMQChannelsWebsocketConnection.{trait}` changes the limit.\n\n"
        f"Now: {trait}={limit} ({unit}), rate_limit_window={window} (secs)\n"
    )
