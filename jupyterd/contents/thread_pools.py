"""Thread pools for users' files, by what they may wait for: a disk that is slow to write must not stop who reads."""

from __future__ import annotations

from dataclasses import dataclass

from jupyterd.system.threads import InThread


@dataclass(frozen=True)
class ThreadPools:
    """Three thread pools, so that no kind of work waits behind another.

    :param write: what changes files, and waits for the disk to have it.
    :param read: listings, files, downloads.
    :param large: what is handed to the child process, which does one thing at a time.
    """

    write: InThread
    read: InThread
    large: InThread

    @classmethod
    def one(cls, in_thread: InThread) -> ThreadPools:
        """All in one."""
        return cls(in_thread, in_thread, in_thread)
