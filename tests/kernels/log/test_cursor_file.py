"""Places of sessions, found again by the next daemon, and what was replied to."""

from __future__ import annotations

from pathlib import Path

from jupyterd.kernels.log.cursor_file import IS_V1, PLAIN, PUBLIC, REPLIES, CursorFile
from jupyterd.kernels.log.settling import PARCELS, RECORDS, Place, SavedCursor, Sealed, Written

BASE = 1000


def parcel(begin: int, first: int, count: int = 1, size: int = 10, plain: bool = True) -> Written:
    place = Place(first, 100 + first, first, public=True)
    return Written(begin, begin + size * count, place, first + count, 100 + first + count, plain)


def about_to_write(places: CursorFile, slot: int, parcel: Written) -> None:
    begin, end, place, following, said, plain = parcel
    flags = (IS_V1 if place.protocol else 0) | (PUBLIC if place.public else 0) | (PLAIN if plain else 0)
    places.about_to_write(slot, begin, end, place.position, place.said, place.since, following, said, flags)


def test_what_is_written_down_is_there_for_the_next(tmp_path: Path) -> None:
    path = str(tmp_path / "places")
    places = CursorFile(path)
    slot = places.take(7, "session", 5)
    places.connected(slot, 3, BASE)
    place = Place(6, 99, 5, 17, True, "v1.kernel.websocket.jupyter.org")
    written = [parcel(0, 5), Written(10, 30, place._replace(part=0, public=False), 8, 0, False)]
    for each in written:
        about_to_write(places, slot, each)
    places.mark(slot, place)
    places.close()
    for _ in range(2):
        again = CursorFile(path)
        (cursor,) = again.read()
        assert cursor == SavedCursor(slot, 7, place, 0.0, "session", 3, BASE, tuple(written))
    again.mark(slot, Place(3))
    (cursor,) = CursorFile(path).read()
    assert (cursor.key, cursor.place) == (0, Place(3)), "that connection is gone"


def test_where_a_client_is_that_was_lost_is_not_settled_by_what_the_system_took(tmp_path: Path) -> None:
    path = str(tmp_path / "places")
    places = CursorFile(path)
    slot = places.take(7, "session", 5)
    places.connected(slot, 3, BASE)
    places.mark(slot, Place(6))
    assert CursorFile(path).read()[0].key == 3
    places.mark(slot, Place(4), connected=False)
    (cursor,) = CursorFile(path).read()
    assert (cursor.key, cursor.place) == (0, Place(4))
    places.mark(slot, Place(5))
    assert CursorFile(path).read()[0].key == 0, "until it is connected again"


def test_the_last_are_kept(tmp_path: Path) -> None:
    path = str(tmp_path / "places")
    places = CursorFile(path)
    slot = places.take(7, "session", 1)
    places.connected(slot, 3, BASE)
    for number in range(3 * PARCELS):
        about_to_write(places, slot, parcel(10 * number, number))
    (cursor,) = CursorFile(path).read()
    assert [each.place.position for each in cursor.parcels] == list(range(2 * PARCELS, 3 * PARCELS))
    places.connected(slot, 4, 0)
    assert CursorFile(path).read()[0].parcels == ()


def test_records_of_tls_are_there_for_the_next(tmp_path: Path) -> None:
    path = str(tmp_path / "places")
    places = CursorFile(path)
    slot, other = places.take(7, "session", 1), places.take(8, "other", 1)
    places.connected(slot, 3, BASE, is_sealed=True)
    places.connected(other, 4, BASE)
    (place, beside) = sorted(CursorFile(path).read(), key=lambda each: each.number)
    assert (place.records, beside.records) == ((), None)
    for number in range(1, RECORDS + 9):
        places.sealed(slot, 20 * number, 10 * number)
    (place, beside) = sorted(CursorFile(path).read(), key=lambda each: each.number)
    assert place.records == tuple(Sealed(20 * number, 10 * number) for number in range(9, RECORDS + 9))
    assert beside == SavedCursor(other, 8, Place(1, 0, 1), 0.0, "other", 4, BASE), "nothing runs over into the next"


def test_who_has_got_a_reply_is_known_by_its_place(tmp_path: Path) -> None:
    path = str(tmp_path / "places")
    places = CursorFile(path)
    places.take(7, "session", 1)
    for number in range(10):
        places.replied(f"request {number}", 100 + number)
    asked = [(f"request {number}", 105) for number in range(8)]
    again = CursorFile(path)
    assert again.had_reply(asked) == set(), "there is no file yet that it knows of"
    again.read()
    assert again.had_reply([*asked, ("another", 105)]) == {f"request {number}" for number in range(5)}
    third = CursorFile(path)
    third.read()
    assert third.had_reply([(f"request {number}", 1) for number in range(8)]) == {
        f"request {number}" for number in range(5)
    }, "the next daemon's numbers are others"


def test_the_last_replies_are_kept(tmp_path: Path) -> None:
    path = str(tmp_path / "places")
    places = CursorFile(path)
    places.take(7, "session", 1)
    for number in range(REPLIES + 1):
        places.replied(f"request {number}", number)
    again = CursorFile(path)
    again.read()
    assert again.had_reply((f"request {number}", 10000) for number in (0, 1, REPLIES)) == {
        "request 1", f"request {REPLIES}",
    }  # fmt: skip
