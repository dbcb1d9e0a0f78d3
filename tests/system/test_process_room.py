"""Room for one more process."""

from __future__ import annotations

import errno
import threading

import pytest

from jupyterd.errors import SCARCE
from jupyterd.system.processes.process_room import check_process_room


def test_there_is_room_and_nothing_is_left_of_the_question() -> None:
    before = threading.active_count()
    check_process_room()
    assert threading.active_count() == before


@pytest.mark.parametrize("why", [RuntimeError("can't start new thread"), MemoryError()])
def test_there_is_none(monkeypatch: pytest.MonkeyPatch, why: Exception) -> None:
    def start(self: threading.Thread) -> None:
        raise why

    monkeypatch.setattr(threading.Thread, "start", start)
    with pytest.raises(OSError, match="temporarily unavailable") as found:
        check_process_room()
    assert found.value.errno == errno.EAGAIN
    assert errno.EAGAIN in SCARCE, "which is 503"
