"""Session of the server's own: messages that it says to a kernel, or to a kernel's clients.

Source: jupyter_client documentation, "Messaging in Jupyter", general message format.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any
from uuid import uuid4

import orjson

from jupyterd.kernels.messages.websocket_codec import Parts
from jupyterd.system.timestamps import isoformat

PROTOCOL_VERSION = "5.4"


class ServerSession:
    """Numbers the server's messages; its session tells them from all clients'.

    :param seconds: the clock, in seconds since the epoch.
    """

    def __init__(self, seconds: Callable[[], float]) -> None:
        self.session = uuid4().hex
        self._seconds = seconds
        self._numbers = count(1)

    def message(
        self, msg_type: str, content: dict[str, Any] | bytes, parent: bytes = b"{}", session: str = ""
    ) -> tuple[str, Parts]:
        """A message's id and its parts.

        :param content: as JSON where it is bytes.
        :param session: another's in whose name it is said.
        """
        msg_id = f"{self.session}_{next(self._numbers)}"
        header = {
            "msg_id": msg_id,
            "msg_type": msg_type,
            "username": "jupyterd",
            "session": session or self.session,
            "date": self.now(),
            "version": PROTOCOL_VERSION,
        }
        said = content if isinstance(content, bytes) else orjson.dumps(content)
        return msg_id, [orjson.dumps(header), parent, b"{}", said]

    def now(self) -> str:
        """The time as headers have it. Source: ISO 8601, in UTC."""
        return isoformat(self._seconds())

    def notice(self, text: str, parent: bytes) -> Parts:
        """A line on stderr, below the request of ``parent``."""
        return self.message("stream", {"name": "stderr", "text": text}, parent)[1]
