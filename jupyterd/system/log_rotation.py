"""Rotation of twistd's log file by somebody else, such as logrotate(8): SIGUSR1 opens it again under its name."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any


def is_moved(log_file: Any) -> bool:
    """Whether another file than the open one is at its path, or none.

    :param log_file: a :class:`twisted.python.logfile.BaseLogFile`.
    """
    try:
        return not os.path.samestat(os.stat(log_file.path), os.fstat(log_file._file.fileno()))
    except OSError:
        return True


def begin_anew(log_file: Any) -> None:
    """Write to a new file: where somebody has moved the old one that is all, else twistd's own rotation moves it."""
    if is_moved(log_file):
        log_file.reopen()
    else:
        log_file.rotate()


def install(log_file: Any, call: Callable[..., Any]) -> None:
    """Do so at SIGUSR1, in place of twistd's handler, which passes over a file that was moved.

    :param call: has a function called in the reactor's thread.
    """
    signal.signal(signal.SIGUSR1, lambda *_: call(begin_anew, log_file))
