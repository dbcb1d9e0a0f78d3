"""Compression of websockets' messages: the operator's options and the client's offers (pure).

Source: RFC 7692, section 7 (permessage-deflate).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

LARGEST = 1024 * 1024
"""Bytes of the largest message that is compressed: more would keep the reactor from others for too long."""

_PARAMETER = re.compile(
    r"(server_no_context_takeover|client_no_context_takeover|client_max_window_bits(?==|$)|server_max_window_bits(?==))"
    r'(?:(?<=bits)=("?)(?:9|1[0-5])\2)?'
)


@dataclass(frozen=True)
class Compression:
    """The options that Tornado's ``get_compression_options`` knows.

    :param level: zlib's, 0 to 9, -1 for its own choice.
    :param memory: zlib's memory level, 1 to 9; 8 takes about 256 KiB for each connection.
    """

    level: int = 6
    memory: int = 8

    @classmethod
    def of(cls, options: Any) -> Compression | None:
        """From ``ServerApp.websocket_compression_options``: None compresses nothing, a dict does, even an empty one.

        :raises ValueError: it is neither, or a level is out of range.
        """
        if options is None:
            return None
        if not isinstance(options, Mapping):
            raise ValueError("a dict is expected, or None")
        level, memory = options.get("compression_level"), options.get("mem_level")
        level, memory = cls.level if level is None else level, cls.memory if memory is None else memory
        if type(level) is not int or not -1 <= level <= 9:
            raise ValueError("compression_level is a number from -1 to 9")
        if type(memory) is not int or not 1 <= memory <= 9:
            raise ValueError("mem_level is a number from 1 to 9")
        return cls(level, memory)


def offer(header: str) -> str:
    """The first offer of a ``Sec-WebSocket-Extensions`` header that can be accepted; empty where there is none."""
    for extension in header.split(","):
        name, *parameters = (part.strip() for part in extension.split(";"))
        known = [_PARAMETER.fullmatch(parameter) for parameter in parameters]
        names = [match[1] for match in known if match is not None]
        if name == "permessage-deflate" and None not in known and len(set(names)) == len(names):
            return extension.strip()
    return ""
