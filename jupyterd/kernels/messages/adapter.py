"""Adapter for kernels that speak version 4 of the messaging protocol: put into version 5 and back.

The adapting itself is jupyter_client's. Source: its documentation, "Messaging in Jupyter", changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from jupyterd.kernels.messages.websocket_codec import Bytes, Parts

OURS = 5
"""The major version that clients speak."""


def major_version(info: dict[str, Any] | None) -> int:
    """The major protocol version of a ``kernel_info_reply``'s content; ours where it does not say."""
    said = (info or {}).get("protocol_version")
    first = said[0] if isinstance(said, list) and said else str(said).partition(".")[0]
    try:
        return int(first)
    except (TypeError, ValueError):
        return OURS


def adapted(parts: Parts, version: int) -> list[Bytes]:
    """A message in another major version; as it is where it can not be adapted."""
    from jupyter_client.adapter import adapt

    try:
        message = adapt(_message(parts), version)
    except Exception:  # noqa: BLE001 - the adapters believe what they are given
        return list(parts)
    packed = [message["header"], message["parent_header"], message["metadata"], message["content"]]
    return [*(orjson.dumps(part, option=orjson.OPT_UTC_Z) for part in packed), *parts[4:]]


def _message(parts: Sequence[Bytes]) -> dict[str, Any]:
    header, parent, metadata, content = (orjson.loads(part) for part in parts[:4])
    return {
        "header": header,
        "msg_id": header["msg_id"],
        "msg_type": header["msg_type"],
        "parent_header": parent,
        "metadata": metadata,
        "content": content,
    }
