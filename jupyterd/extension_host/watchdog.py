"""Tells which extension keeps the host's loop from turning, while it does: by the stack of the thread that runs it."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable
from types import FrameType

STALL_SECONDS = 5.0
LOOK_SECONDS = 2.0


class Watchdog:
    """Looks at the loop from a thread of its own.

    :param extensions: the names of those that are loaded.
    :param current: the extension that is being loaded.
    :param tell: called, in the watching thread, with extension, seconds and stack: when the loop has stood for
        :data:`STALL_SECONDS`, and each time that has doubled.
    :param orphaned: called when the daemon has gone and the loop does not turn.
    """

    def __init__(
        self,
        extensions: Iterable[str],
        current: Callable[[], str],
        tell: Callable[[str, float, str], None],
        orphaned: Callable[[], None],
    ) -> None:
        self._extensions = tuple(extensions)
        self._current = current
        self._tell = tell
        self._orphaned = orphaned
        self._beat = time.monotonic()
        self._told_at = STALL_SECONDS
        self._main = threading.main_thread().ident or 0
        self._parent = os.getppid()

    def start(self) -> None:
        """Begin to look."""
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def beat(self, loop: asyncio.AbstractEventLoop) -> None:
        """The loop turns."""
        self._beat = time.monotonic()
        self._told_at = STALL_SECONDS
        loop.call_later(LOOK_SECONDS, self.beat, loop)

    def touched(self) -> None:
        """Something was finished while the loop does not turn yet."""
        self._beat = time.monotonic()

    def _watch(self) -> None:
        while True:
            time.sleep(LOOK_SECONDS)
            standing = time.monotonic() - self._beat
            if standing >= self._told_at:
                self._told_at = standing * 2
                self._report(standing)
            if standing > STALL_SECONDS and os.getppid() != self._parent:
                self._orphaned()

    def _report(self, seconds: float) -> None:
        frame = sys._current_frames().get(self._main)
        frames = traceback.format_stack(frame) if frame is not None else []
        stack = "".join([each for each in frames if "<frozen importlib" not in each][-20:])
        self._tell(self._current() or owner_of(frame, self._extensions), seconds, stack)


def owner_of(frame: FrameType | None, extensions: Iterable[str]) -> str:
    """The extension whose code runs in a frame or calls what runs there; empty where none does."""
    tops = {name.partition(".")[0]: name for name in extensions}
    while frame is not None:
        name = tops.get(str(frame.f_globals.get("__name__", "")).partition(".")[0])
        if name is not None:
            return name
        frame = frame.f_back
    return ""
