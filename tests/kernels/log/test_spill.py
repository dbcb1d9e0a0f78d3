"""The log on disk: its files while they are written, and when they are not needed any more."""

from __future__ import annotations

import os

from jupyterd.testing.deferreds import result_of
from tests.kernels.log.readers import Kit, Later, Reader


def test_a_file_that_is_being_written_is_not_removed_when_all_before_is_read(directory) -> None:
    threads = Later()
    kit, reader = Kit(directory, threads), Reader()
    cursor = kit.log.open()
    kit.log.attach(cursor, reader)
    reader.blocked = True
    said = []
    while not threads.jobs:
        said += kit.say(1, 100)
    threads.work()  # the first blocks are on disk
    while not threads.jobs:
        said += kit.say(1, 100)
    writing = threads.jobs.popleft()  # the next are on their way
    reader.blocked, reader.capacity = False, kit.log.store.spill.segments[0].blocks[-1].end - 1
    kit.log.pull(cursor)
    threads.work_all()
    assert (reader.blocked, cursor.position) == (True, kit.log.store._written_from)
    threads.jobs.append(writing)
    threads.work_all()
    reader.blocked, reader.capacity = False, None
    kit.log.pull(cursor)
    threads.work_all()
    assert reader.got == said


def test_closing_removes_the_files(directory) -> None:
    kit, reader = Kit(directory), Reader()
    kit.log.attach(kit.log.open(), reader)
    reader.blocked = True
    for _ in range(200):
        kit.say(1, 100)
    assert oct(os.stat(kit.log.store.spill.directory).st_mode)[-3:] == "700"
    assert {
        oct(os.stat(os.path.join(kit.log.store.spill.directory, name)).st_mode)[-3:]
        for name in os.listdir(kit.log.store.spill.directory)
    } == {"600"}
    result_of(kit.log.close())
    assert not os.path.exists(kit.log.store.spill.directory)
