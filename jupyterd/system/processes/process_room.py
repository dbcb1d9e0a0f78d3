"""Room for one more process: asked before one is ended that another is to take the place of."""

from __future__ import annotations

import errno
import os
from threading import Thread


def check_process_room() -> None:
    """See whether the system would give one more process now: for its limits, a thread counts as much.

    Sources: Linux, setrlimit(2), ``RLIMIT_NPROC``; Documentation/admin-guide/cgroup-v2, "PID".

    :raises OSError: it would not.
    """
    probe = Thread(target=int, name="jupyterd-probe", daemon=True)
    try:
        probe.start()
    except (RuntimeError, MemoryError) as error:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN)) from error
    probe.join()
