"""Places of sessions, found again by the next daemon: as they were when the system had taken so much."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from jupyterd.kernels.log.cursor_file import PARCELS, CursorFile, SavedCursor, Written, settled

BASE = 1000


def parcel(begin: int, first: int, count: int = 1, size: int = 10, plain: bool = True) -> Written:
    return Written(begin, begin + size * count, first, first + count, 100 + first + count, plain, None)


def test_what_is_written_down_is_there_for_the_next(tmp_path: Path) -> None:
    path = str(tmp_path / "places")
    places = CursorFile(path)
    slot = places.take(7, "session", 5)
    places.connected(slot, 3, BASE)
    written = [parcel(0, 5), Written(10, 30, 6, 8, 0, False, "v1.kernel.websocket.jupyter.org")]
    for each in written:
        places.about_to_write(slot, each)
    places.mark(slot, 6, 99)
    places.close()
    (place,) = CursorFile(path).read()
    assert place == SavedCursor(slot, 7, 6, 99, 0, None, 0.0, "session", 3, BASE, tuple(written))
    (again,) = CursorFile(path).read()
    assert (again.key, again.parcels) == (0, ()), "that connection is gone"


def test_the_last_are_kept(tmp_path: Path) -> None:
    path = str(tmp_path / "places")
    places = CursorFile(path)
    slot = places.take(7, "session", 1)
    places.connected(slot, 3, BASE)
    for number in range(20):
        places.about_to_write(slot, parcel(10 * number, number))
    (place,) = CursorFile(path).read()
    assert [each.first for each in place.parcels] == list(range(20 - PARCELS, 20))
    places.connected(slot, 4, 0)
    assert CursorFile(path).read()[0].parcels == ()


def place_of(*parcels: Written, position: int = 1, said: int = 0) -> SavedCursor:
    return SavedCursor(0, 7, position, said, 0, None, 0.0, "session", 3, BASE, parcels)


def test_a_message_that_the_system_took_and_nobody_noted_does_not_come_again() -> None:
    place = place_of(parcel(0, 1), position=1, said=50)
    assert settled(place, BASE + 10)[2:5] == (2, 102, 0)
    assert settled(place, BASE)[2:5] == (1, 50, 0), "nor is one that it did not take lost"
    assert settled(place, BASE + 4)[2:5] == (1, 50, 4)
    assert settled(place_of(parcel(0, 1, plain=False)), BASE + 4).part == 0


def test_where_nobody_knows_it_is_as_it_was_noted() -> None:
    place = place_of(parcel(0, 1), position=1, said=50)
    assert settled(place, None) == place
    assert settled(place._replace(key=0), BASE + 10) == place._replace(key=0)
    assert settled(place_of(), BASE + 10) == place_of()
    full = place_of(*(parcel(100 + 10 * n, 10 + n) for n in range(PARCELS)), position=4)
    assert settled(full, BASE + 50) == full


@given(st.lists(st.integers(1, 5), min_size=1, max_size=PARCELS), st.integers(0, 400))
def test_a_place_is_behind_all_that_arrived_and_before_all_that_did_not(counts: list[int], arrived: int) -> None:
    parcels, begin, first = [], 0, 1
    for count in counts:
        parcels.append(parcel(begin, first, count))
        begin, first = begin + 10 * count + 3, first + count  # a ping between
    found = settled(place_of(*parcels), BASE + arrived)
    whole = [each for each in parcels if each.end <= arrived]
    assert found.position == (whole[-1].next if whole else 1)
    assert found.part == max(0, *(arrived - each.begin for each in parcels if each.begin < arrived < each.end), 0)
