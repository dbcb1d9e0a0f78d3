"""Who reads does not wait for who saves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.testing import MemoryReactorClock

from jupyterd.contents import operations
from jupyterd.contents.event_queue import EventQueue
from jupyterd.contents.managers.largefilemanager import AsyncLargeFileManager
from jupyterd.contents.operations import Query
from jupyterd.contents.service import Contents
from jupyterd.contents.thread_pools import ThreadPools
from jupyterd.testing.deferreds import at_once


class Stuck:
    """Threads that wait for a disk."""

    def __init__(self) -> None:
        self.calls: list[Callable[[], Any]] = []

    def __call__(self, function: Any, *args: Any, **kwargs: Any) -> Deferred[Any]:
        self.calls.append(lambda: function(*args, **kwargs))
        return Deferred()


def test_a_disk_that_does_not_take_saves_still_gives_listings(root: Any) -> None:
    (root / "a.txt").write_text("x")
    reactor, stuck = MemoryReactorClock(), Stuck()
    lanes = ThreadPools(write=stuck, read=at_once, large=Stuck())  # type: ignore[arg-type]
    manager = AsyncLargeFileManager(root_dir=str(root))
    contents = Contents(reactor, manager, lanes, EventQueue(reactor, lambda data: None))  # type: ignore[arg-type]
    saving = Deferred.fromCoroutine(contents.put("/a.txt", b'{"type": "file"}', None))
    answers: list[Any] = []
    for work in (contents.get("/", Query()), contents.get("/a.txt", Query())):
        Deferred.fromCoroutine(work).addCallback(answers.append)
    contents.ask(operations.list_checkpoints, "/a.txt").addCallback(answers.append)
    assert len(answers) == 3
    assert len(stuck.calls) == 1
    assert not saving.called


def test_a_download_takes_no_thread_of_the_site(client: Any) -> None:
    (client.root / "a.txt").write_text("x")
    client.site.site.in_thread = None
    assert client.ask("GET", "/files/a.txt").body == b"x"
