"""Cursors of sessions in a kernel's log, kept while their clients are away (``offline_session_timeout``)."""

from __future__ import annotations

from typing import Any

from jupyterd.kernels.log.cursor import Cursor
from jupyterd.kernels.log.message_log import MessageLog

ABSENT = 256
"""How many absent sessions one kernel keeps a place for; the one that left first is forgotten first."""


class SessionCursors:
    """The cursors of one kernel's sessions.

    :param clock: the reactor's.
    """

    def __init__(self, messages: MessageLog, clock: Any) -> None:
        self._messages, self._clock = messages, clock
        self._sessions: dict[str, Cursor] = {}

    def of(self, session: str) -> Cursor | None:
        """The place of a session; None where it has none."""
        return self._sessions.get(session)

    def restore(self, cursor: Cursor, grace: float) -> None:
        """A session that was here when a former daemon was: it is waited for."""
        assert cursor.session is not None
        self._sessions[cursor.session] = cursor
        self.keep(cursor, grace)

    def take(self, session: str | None) -> Cursor:
        """The place of a session that is here, a new one if it has none; without a session always a new one."""
        cursor = self._sessions.get(session) if session else None
        if cursor is None:
            cursor = self._messages.open(session)
            if session:
                self._sessions[session] = cursor
        self._stop_waiting(cursor)
        return cursor

    def keep(self, cursor: Cursor, grace: float) -> None:
        """The client of a session is away: keep it for ``grace`` seconds."""
        cursor.expiry = self._clock.callLater(grace, self.forget, cursor)
        self._messages.away(cursor, self._clock.seconds() + grace)
        assert cursor.session is not None
        self._sessions[cursor.session] = self._sessions.pop(cursor.session)  # in the order of their leaving
        absent = [each for each in self._sessions.values() if each.client is None]
        if len(absent) > ABSENT:
            self.forget(absent[0])

    def forget(self, cursor: Cursor) -> None:
        """Its client does not come back."""
        self._stop_waiting(cursor)
        self._messages.forget(cursor)
        if cursor.session is not None and self._sessions.get(cursor.session) is cursor:
            del self._sessions[cursor.session]

    def _stop_waiting(self, cursor: Cursor) -> None:
        expiry: Any = cursor.expiry
        if expiry is not None and expiry.active():
            expiry.cancel()
            self._messages.away(cursor, 0.0)
        cursor.expiry = None
