"""Messages that a kernel drops are missed by their numbers; what is missing for other reasons is not."""

from __future__ import annotations

import orjson
import pytest

from jupyterd.kernels.channels.drop_detector import FEW, QUEUE, DropDetector


def said(*numbers, series="s_7"):
    return [[orjson.dumps({"msg_type": "stream", "msg_id": f"{series}_{number}"}), b"{}"] for number in numbers]


@pytest.fixture
def drops():
    """Of a kernel that has said much."""
    drops = DropDetector()
    for begin in range(0, QUEUE, 50):
        assert drops.before(said(*range(begin, begin + 50))) == []
    return drops


def test_a_gap_between_two_turns(drops) -> None:
    assert drops.before(said(QUEUE + 100, QUEUE + 101)) == [(0, 100)]
    assert drops.before(said(QUEUE + 102)) == []


def test_a_gap_behind_what_a_former_daemon_heard_counts_however_little_that_was() -> None:
    drops = DropDetector()
    assert drops.before(said(1, 2, 3)) == []
    assert drops.before([[orjson.dumps({"msg_type": "stream", "msg_id": "a-notice"}), b"{}"]]) == []
    drops.look_closely(True)
    assert drops.before(said(100, 101, 102)) == [(0, 96)]
    assert drops.before(said(103, 104 + FEW, 300)) == [(2, 195 - FEW)]
    drops.look_closely(False)
    assert drops.before(said(500)) == []


def test_a_gap_within_a_turn(drops) -> None:
    assert drops.before(said(QUEUE, QUEUE + 1, QUEUE + 500, QUEUE + 501)) == [(2, 498)]


def test_two_gaps_with_a_queue_between(drops) -> None:
    second = range(QUEUE + 50, 2 * QUEUE + 50)
    assert drops.before(said(*second, 2 * QUEUE + 100)) == [(0, 50), (QUEUE, 50)]


def test_numbers_used_on_other_channels_are_no_loss(drops) -> None:
    assert drops.before(said(*range(QUEUE, QUEUE + 600, 3))) == []
    assert drops.before(said(QUEUE + 598 + FEW)) == []


def test_numbers_of_messages_that_were_never_sent_are_no_loss_while_nothing_waits() -> None:
    drops = DropDetector()
    for number in range(0, 100_000, 1000):
        assert drops.before(said(number)) == []


def test_threads_that_number_at_once_are_no_loss(drops) -> None:
    assert drops.before(said(QUEUE + 2, QUEUE, QUEUE + 1, QUEUE + 3)) == []


def test_a_new_process_begins_anew(drops) -> None:
    assert drops.before(said(5000, series="t_8")) == []


def test_two_that_count_in_one_series_are_not_told_apart(drops) -> None:
    drops.before(said(3))
    for number in range(4, 2 * QUEUE):
        assert drops.before(said(number)) == []
    assert drops.before(said(10 * QUEUE)) == []


def test_messages_without_a_number_are_only_counted(drops) -> None:
    others = [[orjson.dumps({"msg_type": "stream", "msg_id": msg_id}), b"{}"] for msg_id in ("a", "a_5")]
    assert drops.before([*others, [b"{", b"{}"]]) == []
    assert drops.before(said(QUEUE)) == []


@pytest.mark.parametrize("turns", [1, 2])
def test_what_a_gateway_told_already_is_not_told_again(drops, turns) -> None:
    notice = said(1, series="gateway")
    after = said(QUEUE + 100, QUEUE + 101)
    if turns == 2:
        assert drops.before(notice) == []
    assert drops.before(after if turns == 2 else [*notice, *after]) == []
