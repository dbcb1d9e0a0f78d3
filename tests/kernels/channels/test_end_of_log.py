"""The end of a kernel's channels: its tabs are closed when they have read all."""

from __future__ import annotations

import os

import pytest
from twisted.internet.defer import Deferred

from jupyterd.errors import Gone
from jupyterd.kernels.channels.end_of_log import LEAVE
from jupyterd.testing.deferreds import result_of
from tests.kernels.channels.tabs import Kit


def test_when_the_kernel_is_gone_tabs_are_closed_and_nothing_is_left(directory) -> None:
    kit = Kit(directory)
    tab, lagging = kit.tab("s"), kit.tab("l")
    lagging.blocked = True
    kit.kernel.say("stream", {})
    waiting = Deferred.fromCoroutine(kit.channels.request("x_request", {}, timeout=50))
    kit.channels.close("shut down")
    with pytest.raises(Gone):
        result_of(waiting)
    assert (tab.finished, lagging.finished) == (False, False)
    kit.clock.advance(LEAVE)
    assert (tab.finished, lagging.finished) == (True, False)
    kit.channels.detach(tab.cursor, tab, said_goodbye=False)
    lagging.blocked = False
    kit.channels.messages.pull(lagging.cursor)
    assert (len(lagging.got), lagging.finished) == (1, True)
    kit.channels.detach(lagging.cursor, lagging, said_goodbye=False)
    assert kit.clock.getDelayedCalls() == []
    assert not os.path.exists(os.path.join(directory, "spill"))
    kit.channels.close()


def test_tabs_that_leave_by_themselves_are_not_cut_off(directory) -> None:
    kit = Kit(directory)
    tab = kit.tab("s")
    kit.channels.close()
    kit.channels.detach(tab.cursor, tab, said_goodbye=True)
    kit.clock.advance(LEAVE)
    assert not tab.finished
    assert kit.clock.getDelayedCalls() == []


def test_who_does_not_read_the_last_words_is_closed_all_the_same(directory) -> None:
    kit = Kit(directory)
    tab = kit.tab("s")
    tab.blocked = True
    kit.kernel.say("stream", {})
    kit.channels.close()
    kit.clock.advance(31)
    assert tab.finished
    assert kit.clock.getDelayedCalls() == []
