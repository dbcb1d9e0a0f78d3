"""Work off the reactor: the pool ends with its service, whatever is asked of it afterwards."""

from __future__ import annotations

import threading

from twisted.internet.testing import MemoryReactorClock

from jupyterd.testing import result_of
from jupyterd.threads import Threads


def test_what_comes_after_the_end_starts_no_thread() -> None:
    threads = Threads(MemoryReactorClock(), "late", 2)
    threads.startService()
    threads.stopService()
    assert result_of(threads(threading.current_thread)) is threading.current_thread()
    assert not [each for each in threading.enumerate() if "late" in each.name]
