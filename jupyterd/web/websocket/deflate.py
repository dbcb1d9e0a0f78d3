"""Autobahn's permessage-deflate, with the operator's level."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

from autobahn.websocket.compress import PerMessageDeflate, PerMessageDeflateOfferAccept

from jupyterd.web.websocket.compression import Compression


class Deflate(PerMessageDeflate):
    """What one connection compresses with. It inflates no more of a message than the connection's limit."""

    _compressor: Any

    def __init__(self, agreed: PerMessageDeflate, level: int) -> None:
        super().__init__(
            True,
            agreed.server_no_context_takeover,
            agreed.client_no_context_takeover,
            agreed.server_max_window_bits,
            agreed.client_max_window_bits,
            agreed.mem_level,
        )
        self._level = level

    def start_compress_message(self) -> None:
        """Called by Autobahn."""
        if self._compressor is None or self.server_no_context_takeover:
            bits = -self.server_max_window_bits
            self._compressor = zlib.compressobj(self._level, zlib.DEFLATED, bits, self.mem_level)

    def squeeze(self, pieces: list[Any]) -> bytes:
        """One message."""
        self.start_compress_message()
        compressed = [self.compress_message_data(piece) for piece in pieces]
        return b"".join([*compressed, self.end_compress_message()])


def accepting(compression: Compression) -> Callable[[list[Any]], Any]:
    """What Autobahn asks when a client offers to compress."""
    return lambda offers: PerMessageDeflateOfferAccept(offers[0], mem_level=compression.memory)
