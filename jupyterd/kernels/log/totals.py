"""Totals of messages of all kernels of a daemon since its start: what metrics count, and no kernel's end takes away."""

from __future__ import annotations

from dataclasses import dataclass, field


def _none() -> dict[str, int]:
    return {"shell": 0, "control": 0, "stdin": 0, "iopub": 0}


@dataclass
class MessageTotals:
    """Plain integers, each counted where the message passes.

    :ivar from_kernels: messages that kernels said, by channel.
    :ivar to_kernels: messages of clients that were taken for a kernel, by channel.
    :ivar refused: messages of kernels that were not taken, by reason.
    :ivar ignored: messages of clients that were not taken, by reason: ``channel``, ``header``, ``type``.
    :ivar dropped: about so many messages were dropped by kernels, as their numbers tell.
    :ivar gaps: how often a client was told that messages are missing.
    """

    from_kernels: dict[str, int] = field(default_factory=_none)
    to_kernels: dict[str, int] = field(default_factory=_none)
    refused: dict[str, int] = field(default_factory=dict)
    ignored: dict[str, int] = field(default_factory=lambda: {"channel": 0, "header": 0, "type": 0})
    dropped: int = 0
    gaps: int = 0
