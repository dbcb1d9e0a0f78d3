"""Settling of a cursor: as it was when the system had taken so much of its client's stream."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from jupyterd.kernels.log.settling import PARCELS, RECORDS, SavedCursor, Sealed, Written, opened, settled

BASE = 1000


def parcel(begin: int, first: int, count: int = 1, size: int = 10, plain: bool = True) -> Written:
    return Written(begin, begin + size * count, first, first + count, 100 + first + count, plain, None)


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


@given(
    st.lists(st.integers(1, 5), min_size=1, max_size=PARCELS),
    st.lists(st.integers(1, 60), min_size=1, max_size=2 * RECORDS),
    st.integers(0, 3000),
)
def test_over_tls_what_arrived_are_whole_records(counts: list[int], sizes: list[int], taken: int) -> None:
    """A stream of parcels is cut into records anywhere, each of which is five bytes longer than its text."""
    parcels, begin, first = [], 0, 1
    for count in counts:
        parcels.append(parcel(begin, first, count))
        begin, first = begin + 10 * count + 3, first + count
    records, encrypted, clear, arrived = [], 0, 0, 0
    for size in sizes:
        encrypted, clear = encrypted + size + 5, clear + size
        records.append(Sealed(encrypted, clear))
        arrived = clear if encrypted <= taken else arrived
    place = place_of(*parcels)._replace(records=tuple(records[-RECORDS:]))
    found = settled(place, BASE + taken)
    if len(records) >= RECORDS and taken < records[-RECORDS].wire:
        assert found == place, "that is too long ago"
    else:
        assert found[:-1] == settled(place_of(*parcels), BASE + arrived)[:-1]


def test_a_record_that_was_not_taken_whole_can_not_be_read() -> None:
    records = (Sealed(25, 20), Sealed(50, 40))
    assert [opened(records, taken) for taken in (0, 24, 25, 49, 50, 99)] == [0, 0, 20, 20, 40, 40]
    assert opened((), 10) == 0
