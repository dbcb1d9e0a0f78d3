"""Settling of a cursor: as it was when the system had taken so much of its client's stream."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from jupyterd.kernels.log.settling import PARCELS, RECORDS, Place, SavedCursor, Sealed, Written, opened, settled

BASE = 1000


def parcel(begin: int, first: int, count: int = 1, size: int = 10, plain: bool = True) -> Written:
    place = Place(first, 100 + first, first, public=True)
    return Written(begin, begin + size * count, place, first + count, 100 + first + count, plain)


def saved(*parcels: Written, place: Place = Place(0)) -> SavedCursor:  # noqa: B008 - it does not change
    return SavedCursor(0, 7, place, 0.0, "session", 3, BASE, parcels)


def test_a_message_that_the_system_took_and_nobody_noted_does_not_come_again() -> None:
    cursor = saved(parcel(0, 1))
    assert settled(cursor, BASE + 10) == Place(2, 102, 2)
    assert settled(cursor, BASE) == Place(1, 101, 1, public=True), "nor is one that it did not take lost"
    assert settled(cursor, BASE + 4) == Place(1, 101, 1, 4, public=True)
    assert settled(saved(parcel(0, 1, plain=False)), BASE + 4).part == 0


def test_where_nobody_knows_it_is_as_it_was_noted() -> None:
    noted = Place(1, 50, 1)
    assert settled(saved(parcel(0, 1), place=noted), None) == noted
    assert settled(saved(parcel(0, 1), place=noted)._replace(key=0), BASE + 10) == noted
    assert settled(saved(place=noted), BASE + 10) == noted
    full = saved(*(parcel(100 + 10 * n, 10 + n) for n in range(PARCELS)), place=noted)
    assert settled(full, BASE + 50) == noted


def test_of_what_was_noted_before_and_after_it_is_the_later() -> None:
    several = saved(parcel(0, 1), Written(10, 90, Place(2, 102, 2), 10, 110, False), place=Place(7, 102, 2))
    assert settled(several, BASE + 60) == Place(7, 102, 2)
    assert settled(several, BASE + 90) == Place(10, 110, 10)


def test_within_what_the_kernel_said_at_once_it_is_so_many_behind_what_is_named() -> None:
    half = Written(0, 20, Place(5, 33, 5, public=True), 7, 0, False)
    place = settled(saved(half), BASE + 20)
    assert (place, place.further) == (Place(7, 33, 5), 2)
    among_others = half._replace(place=half.place._replace(public=False))
    assert settled(saved(among_others), BASE + 20).said == 0, "a count of the kernel's own messages it is not"


@given(st.lists(st.integers(1, 5), min_size=1, max_size=PARCELS), st.integers(0, 900))
def test_a_place_is_behind_all_that_arrived_and_before_all_that_did_not(counts: list[int], arrived: int) -> None:
    parcels = parcels_of(counts)
    found = settled(saved(*parcels), BASE + arrived)
    whole = [each for each in parcels if each.end <= arrived]
    assert found.position == (whole[-1].next if whole else 1)
    assert found.part == max(0, *(arrived - each.begin for each in parcels if each.begin < arrived < each.end), 0)


def parcels_of(counts: list[int]) -> list[Written]:
    parcels, begin, first = [], 0, 1
    for count in counts:
        parcels.append(parcel(begin, first, count))
        begin, first = begin + 10 * count + 3, first + count  # a ping between
    return parcels


@given(
    st.lists(st.integers(1, 5), min_size=1, max_size=PARCELS),
    st.lists(st.integers(1, 60), min_size=1, max_size=2 * RECORDS),
    st.integers(0, 3000),
)
def test_over_tls_what_arrived_are_whole_records(counts: list[int], sizes: list[int], taken: int) -> None:
    """A stream of parcels is cut into records anywhere, each of which is five bytes longer than its text."""
    parcels = parcels_of(counts)
    records, encrypted, clear, arrived = [], 0, 0, 0
    for size in sizes:
        encrypted, clear = encrypted + size + 5, clear + size
        records.append(Sealed(encrypted, clear))
        arrived = clear if encrypted <= taken else arrived
    cursor = saved(*parcels)._replace(records=tuple(records[-RECORDS:]))
    found = settled(cursor, BASE + taken)
    if len(records) >= RECORDS and taken < records[-RECORDS].wire:
        assert found == cursor.place, "that is too long ago"
    else:
        assert found == settled(saved(*parcels), BASE + arrived)


def test_a_record_that_was_not_taken_whole_can_not_be_read() -> None:
    records = (Sealed(25, 20), Sealed(50, 40))
    assert [opened(records, taken) for taken in (0, 24, 25, 49, 50, 99)] == [0, 0, 20, 20, 40, 40]
    assert opened((), 10) == 0
