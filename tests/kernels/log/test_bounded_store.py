"""The log's store: memory is bounded whoever reads, what goes at the limits is told."""

from __future__ import annotations

import os
import tempfile

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import fail

from jupyterd.kernels.log import bounded_store, spill
from jupyterd.kernels.log.chunk import Chunk
from jupyterd.testing.deferreds import at_once
from tests.kernels.log.readers import Kit, Later, Reader, message, notice


def test_memory_is_let_go_when_nobody_needs_it(directory) -> None:
    kit = Kit(directory, retained=2000)
    kit.log.attach(kit.log.open(), Reader())
    for _ in range(200):
        kit.say()
    assert kit.log.store.bytes <= 2000 + 1000


def test_a_client_that_does_not_read_costs_bounded_memory_and_gets_all_later(directory) -> None:
    kit, reader = Kit(directory), Reader()
    cursor = kit.log.open()
    kit.log.attach(cursor, reader)
    reader.blocked = True
    expected = [header for _ in range(300) for header in kit.say(2, 100)]
    assert kit.log.store.bytes <= 4000 + 4000 + 3000
    assert kit.log.store.spill.bytes > 50_000
    assert reader.got == []
    behind, half = (kit.log.store.size_from(number) for number in (cursor.position, kit.log.next // 2))
    assert behind == kit.log.store.bytes + kit.log.store.spill.bytes
    assert behind * 0.4 < half < behind * 0.6
    assert kit.log.store.size_from(kit.log.next) == 0
    reader.blocked = False
    kit.log.pull(cursor)
    assert reader.got == expected
    kit.say()
    assert kit.log.store.spill.bytes == 0 or kit.log.store.spill.segments[0].blocks[-1].end > kit.log.needed
    assert len(os.listdir(kit.log.store.spill.directory)) <= 1


def test_what_is_no_output_is_never_dropped_and_the_kernel_waits_for_a_slow_disk(directory) -> None:
    threads = Later()
    kit, reader = Kit(directory, threads), Reader()
    cursor = kit.log.open()
    kit.log.attach(cursor, reader)
    reader.blocked = True
    said = []
    while not kit.flow:
        said += kit.say(1, 100, kind="comm_msg")
    assert kit.flow == [False]
    assert kit.log.store.bytes <= 4000 + 2 * 4000 + 1500
    threads.work_all()
    assert kit.flow == [False, True]
    reader.blocked = False
    kit.log.pull(cursor)
    threads.work_all()
    assert reader.got == said


def test_large_messages_wait_in_the_kernel_for_a_slow_disk(directory, monkeypatch) -> None:
    monkeypatch.setattr(bounded_store, "LARGE", 100)
    threads = Later()
    kit, reader = Kit(directory, threads), Reader()
    kit.log.attach(kit.log.open(), reader)
    kit.log.open()
    reader.blocked = True
    while not kit.flow:
        kit.say(1, 100)
    assert kit.log.store.bytes <= 4000 + 4000 + 1500
    threads.work_all()
    assert kit.flow == [False, True]


def test_small_messages_do_not_wait_in_the_kernel_however_many_come_at_once(directory, monkeypatch) -> None:
    monkeypatch.setattr(bounded_store, "LARGE", 1000)
    kit, reader = Kit(directory, Later()), Reader()
    cursor = kit.log.open()
    kit.log.attach(cursor, reader)
    reader.blocked = True
    said = [header for _ in range(30) for header in kit.say(8, 100)]
    assert kit.flow == []
    reader.blocked = False
    kit.log.pull(cursor)
    assert reader.got[0].startswith(b"LOST") or reader.got[0] == said[0]


def test_outputs_so_small_that_telling_would_take_more_are_kept(directory) -> None:
    kit, reader = Kit(directory, Later()), Reader()
    cursor = kit.log.open()
    kit.log.attach(cursor, reader)
    reader.blocked = True
    while not kit.flow:
        messages = [message(number, 10, kind) for number, kind in enumerate(["stream", "comm_msg"] * 3)]
        kit.log.append(Chunk(b"iopub", messages, 0.0))
    assert not any(chunk.lost for chunk in kit.log.store._chunks)
    assert kit.log.store.bytes == sum(chunk.size for chunk in kit.log.store._chunks)


@given(st.lists(st.tuples(st.integers(1, 12), st.booleans(), st.integers(0, 2)), max_size=80))
def test_a_disk_that_is_too_slow_costs_outputs_alone_and_all_are_counted(steps) -> None:
    with tempfile.TemporaryDirectory() as directory:
        threads = Later()
        kit, reader = Kit(directory, threads), Reader()
        cursor = kit.log.open()
        kit.log.attach(cursor, reader)
        reader.blocked = True
        said = []
        for count, output, work in steps:
            said += [(header, output) for header in kit.say(count, 300, kind="stream" if output else "status")]
            threads.work(work)
            if kit.flow[-1:] == [False]:
                threads.work_all()
            assert kit.log.store.bytes <= 4000 + 2 * 4000 + 12 * 1200 + 500
        reader.blocked = False
        kit.log.pull(cursor)
        threads.work_all()
        at = 0
        for header in reader.got:
            count = int(header.split()[1]) if header.startswith(b"LOST") else 0
            assert all(output for _, output in said[at : at + count])
            at += count
            if not count:
                assert header == said[at][0]
                at += 1
        assert at == len(said)


def test_a_full_disk_loses_but_tells_and_stays_bounded(directory) -> None:
    def no_disk(function, /, *args, **kwargs):
        return (
            fail(OSError(28, "No space left on device"))
            if function is spill.write
            else at_once(function, *args, **kwargs)
        )

    kit, reader = Kit(directory, no_disk), Reader()
    cursor = kit.log.open()
    kit.log.attach(cursor, reader)
    reader.blocked = True
    said = [header for _ in range(100) for header in kit.say(1, 100)]
    assert kit.log.store.bytes <= 4000 + 4000
    reader.blocked = False
    kit.log.pull(cursor)
    lost = int(reader.got[0].split()[1])
    assert reader.got[0].startswith(b"LOST")
    assert reader.got[1:] == said[lost:]


@pytest.mark.parametrize(("goes", "stays"), [("stream", "display_data"), ("display_data", "status")])
def test_at_the_quota_streams_go_first_then_what_is_displayed_and_all_else_stays(directory, goes, stays) -> None:
    kit, reader = Kit(directory, quota=40_000), Reader()
    cursor = kit.log.open()
    kit.log.attach(cursor, reader)
    reader.blocked = True
    kept = []
    for number in range(1500):
        said = kit.say(1, 100, kind=goes if number % 50 else stays)
        kept += [] if number % 50 else said
    assert kit.log.store.spill.bytes <= 40_000 + 6000
    reader.blocked = False
    kit.log.pull(cursor)
    assert [header for header in reader.got if stays.encode() in header] == kept
    told = sum(int(frame.split()[1]) for frame in reader.got if frame.startswith(b"LOST"))
    assert told > 0
    assert told + sum(not frame.startswith(b"LOST") for frame in reader.got) == 1500


def test_what_went_whole_is_told_below_the_request_of_what_follows(directory) -> None:
    kit, reader = Kit(directory, quota=20_000), Reader()
    told = []
    kit.log._notice = lambda text, parent: told.append(parent) or notice(text, parent)
    cursor = kit.log.open()
    kit.log.attach(cursor, reader)
    reader.blocked = True
    for number in range(600):
        parts = message(number, 100, "error")
        kit.log.append(Chunk(b"iopub", [[parts[0], b'{"msg_id": "m"}', *parts[2:]]], 0.0))
    reader.blocked = False
    kit.log.pull(cursor)
    assert told == [b'{"msg_id": "m"}']


def test_at_the_quota_with_nothing_to_compact_the_oldest_go(directory) -> None:
    kit, reader = Kit(directory, quota=20_000), Reader()
    cursor = kit.log.open()
    kit.log.attach(cursor, reader)
    reader.blocked = True
    said = [header for _ in range(600) for header in kit.say(1, 100, kind="error")]
    assert kit.log.store.spill.bytes <= 20_000 + 6000
    reader.blocked = False
    kit.log.pull(cursor)
    lost = int(reader.got[0].split()[1])
    assert reader.got[1:] == said[lost:]
