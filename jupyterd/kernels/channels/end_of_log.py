"""End of a kernel's log: its websockets are closed when they have read what it said last."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from jupyterd.kernels.channels.session_cursors import SessionCursors
from jupyterd.kernels.log.cursor import Cursor
from jupyterd.kernels.log.message_log import MessageLog

LAST_WORDS_TIMEOUT = 30.0
"""Seconds that clients of a kernel that is gone have to read what it said last."""

LEAVE = 1.0
"""Seconds that clients have to leave by themselves: one that is cut off before it knows that the kernel is gone
looks for it, and shows its user an error."""


class Closing:
    """Closes the log of one kernel, and its websockets when they have read what it said last.

    :param clock: the reactor's.
    """

    log = Logger()

    def __init__(self, messages: MessageLog, session_cursors: SessionCursors, clock: Any) -> None:
        self._messages, self._session_cursors, self._clock = messages, session_cursors, clock
        self._deadline: Any = None
        self._read: Deferred[None] | None = None

    def begin(self, recorder: Cursor | None = None, read: Deferred[None] | None = None) -> None:
        """The kernel is gone for good.

        :param recorder: a cursor that is kept until ``read`` fires, and the log with it.
        """
        self._read = read
        self._deadline = self._clock.callLater(LAST_WORDS_TIMEOUT, self._close_log)
        for cursor in list(self._messages.cursors.values()):
            if cursor.client is None and cursor is not recorder:
                self._session_cursors.forget(cursor)
        self._clock.callLater(LEAVE, self._see_out)
        self.one_left()

    def _see_out(self) -> None:
        """Close the websockets that have read all; the others when they have."""
        self._messages.caught_up = self._finish
        for cursor in list(self._messages.attached):
            if cursor.position >= self._messages.next:
                self._finish(cursor)
        self.one_left()

    def _finish(self, cursor: Cursor) -> None:
        client: Any = cursor.client
        client.finish()

    def one_left(self) -> None:
        """A websocket is closed: with the last the log goes, once the kernel is gone."""
        if self._deadline is not None and not self._messages.attached:
            self._deadline.cancel()
            self._close_log()

    def _close_log(self) -> None:
        self._deadline = None
        for cursor in list(self._messages.attached):
            self._finish(cursor)
            self._session_cursors.forget(cursor)
        if self._read is None:
            self._forget_log()
        else:
            self._read.addBoth(lambda _: self._forget_log())

    def _forget_log(self) -> None:
        self._messages.close().addErrback(lambda failure: self.log.failure("a spill is left behind", failure))
