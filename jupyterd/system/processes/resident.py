"""Resident memory of a process."""

from __future__ import annotations

import os


def resident(pid: int | None) -> int:
    """Bytes; 0 where the system does not tell, or there is no such process."""
    try:
        with open(f"/proc/{pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError):
        return 0
