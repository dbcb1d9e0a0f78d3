"""Send queue to a kernel: messages in order, held back while the kernel does not take them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from jupyterd.kernels.messages.websocket_codec import Parts


class Sender(Protocol):
    """Whose messages wait; told when there are too many, and when there is room again."""

    def pause_client(self) -> None:
        """Read nothing more from the client."""

    def resume_client(self) -> None:
        """Read from the client again."""


@dataclass(eq=False)
class SendQueue:
    """Queue of messages to one channel of a kernel.

    :param post: signs a message, for a restarted kernel may have another key, and sends it whole, or returns False:
        then :meth:`flush` is called when it may be tried again.
    :param hold: bytes of one sender that may wait before it is paused.
    """

    post: Callable[[Parts], bool]
    hold: int
    shut: bool = True
    _waiting: deque[tuple[Sender | None, Parts, int]] = field(default_factory=deque)
    _sizes: dict[Sender, int] = field(default_factory=dict)
    _paused: set[Sender] = field(default_factory=set)

    def put(self, parts: Parts, sender: Sender | None = None) -> None:
        """Send a message, now or when the kernel takes it."""
        if not self.shut and not self._waiting and self.post(parts):
            return
        size = sum(map(len, parts))
        self._waiting.append((sender, parts, size))
        if sender is not None:
            held = self._sizes[sender] = self._sizes.get(sender, 0) + size
            if held > self.hold and sender not in self._paused:
                self._paused.add(sender)
                sender.pause_client()

    def at_once(self, parts: Parts) -> None:
        """Send the server's own message, before all that waits."""
        if not self.post(parts):
            self._waiting.appendleft((None, parts, 0))

    def waiting(self) -> list[Parts]:
        """What was not sent yet, oldest first."""
        return [parts for _, parts, _ in self._waiting]

    def flush(self) -> None:
        """Send what waits, until the kernel takes no more."""
        while self._waiting and not self.shut:
            sender, parts, size = self._waiting[0]
            if not self.post(parts):
                return
            self._waiting.popleft()
            if sender is not None:
                self._sent(sender, size)

    def _sent(self, sender: Sender, size: int) -> None:
        left = self._sizes.get(sender, 0) - size
        if left > 0:
            self._sizes[sender] = left
        else:
            self._sizes.pop(sender, None)
        if left <= self.hold // 2 and sender in self._paused:
            self._paused.discard(sender)
            sender.resume_client()

    def left(self, sender: Sender) -> None:
        """The sender is gone; what it said is still sent."""
        self._sizes.pop(sender, None)
        self._paused.discard(sender)
        self._waiting = deque((None if who is sender else who, parts, size) for who, parts, size in self._waiting)
