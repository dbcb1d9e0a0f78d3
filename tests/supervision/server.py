"""A server's settings without a configuration, for the tests of what uses them."""

from __future__ import annotations

import logging
import os
import socket
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from jupyterd.serverapp import ServerApp


@dataclass
class Told:
    """What a logger was told, by level."""

    lines: list[str] = field(default_factory=list)

    def __call__(self, event: dict[str, Any]) -> None:
        from twisted.logger import formatEvent

        self.lines.append(f"{event['log_level'].name}: {formatEvent(event)}")


def server(home: Path, **settings: Any) -> ServerApp:
    """A server below ``home`` whose token is ``t``."""
    runtime = home / "runtime"
    made = ServerApp(runtime_dir=str(runtime), root_dir=str(home), log=logging.getLogger("test"), **settings)
    made.__dict__["identity_provider"] = SimpleNamespace(
        token="t", token_generated=True, auth_enabled=True, hashed_password=""
    )
    return made


def hand_over(monkeypatch: pytest.MonkeyPatch, listening: socket.socket) -> None:
    """Give the process a socket as the service manager does."""
    monkeypatch.setattr("jupyterd.supervision.sockets._FIRST_INHERITED", os.dup(listening.fileno()))
    monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
    monkeypatch.setenv("LISTEN_FDS", "1")
