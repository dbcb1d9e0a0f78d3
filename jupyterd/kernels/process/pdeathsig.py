"""Parent-death signal: processes die with this one, even if it is killed, by util-linux's ``setpriv``.

Asking from Python between fork and exec would copy the daemon's page tables and stop the reactor for ten milliseconds
at each start, and is unsafe in a process with threads.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import cache


def dying_with_us(command: list[str], path: str | None = None) -> list[str]:
    """The command that runs ``command`` so that it is killed when this process dies.

    :param path: the PATH it is looked for in.
    :returns: ``command`` itself where the system can not do that, or has no such program to run.
    """
    helper = _helper()
    program = shutil.which(command[0], path=path) if command and helper else None
    if helper is None or program is None or not os.path.isabs(program):
        return command
    return [helper, "--pdeathsig", "KILL", "--", program, *command[1:]]


@cache
def _helper() -> str | None:
    if sys.platform != "linux":
        return None
    helper = shutil.which("setpriv")
    if helper is None:
        return None
    try:
        done = subprocess.run(
            [helper, "--pdeathsig", "KILL", "--", "true"], capture_output=True, timeout=5, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return helper if done.returncode == 0 else None  # other makes of it do not know the option
