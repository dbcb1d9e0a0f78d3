"""Served: what a route may return in place of a value, something that writes its response itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jupyterd.web.server.request import Request


class Served(ABC):
    """A file, a stream: it writes head and body while it goes."""

    @abstractmethod
    def serve(self, request: Request) -> None:
        """Write the response to ``request`` and finish it, now or later."""
