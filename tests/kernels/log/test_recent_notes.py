"""Notes of requests that are not on disk yet: there after a kill, and gone when they are on disk."""

from __future__ import annotations

from pathlib import Path

from jupyterd.kernels.log.recent_notes import MAX_HEADER, NOTES, RecentNotes, noted


def headers(notes: RecentNotes) -> list[tuple[bytes, bytes, int]]:
    return [(bytes(note.messages[0][0]), note.channel, note.to) for note in notes.read()]


def test_what_is_not_on_disk_is_there_for_the_next(tmp_path: Path) -> None:
    path = str(tmp_path / "kernel" / "asked")
    notes = RecentNotes(path)
    for number in range(3):
        notes.add(noted("control", b"%d" % number, 7 + number))
    assert headers(RecentNotes(path)) == [(b"%d" % number, b">control", 7 + number) for number in range(3)]
    notes.on_disk(2)
    again = RecentNotes(path)
    assert headers(again) == [(b"2", b">control", 9)]
    again.add(noted("shell", b"another", 1))
    notes.close()
    assert [each[0] for each in headers(RecentNotes(path))] == [b"2", b"another"], "it goes on where that was"


def test_the_last_are_kept_and_none_that_is_too_long(tmp_path: Path) -> None:
    path = str(tmp_path / "asked")
    notes = RecentNotes(path)
    assert headers(notes) == []
    notes.add(noted("shell", b"x" * (MAX_HEADER + 1), 1))
    assert not (tmp_path / "asked").exists()
    for number in range(NOTES + 5):
        notes.add(noted("shell", b"%d" % number, 1))
    notes.add(noted("shell", b"x" * MAX_HEADER, 1))
    found = [each[0] for each in headers(RecentNotes(path))]
    assert found == [*(b"%d" % number for number in range(6, NOTES + 5)), b"x" * MAX_HEADER]


def test_a_file_that_can_not_be_is_done_without(tmp_path: Path) -> None:
    (tmp_path / "asked").mkdir()
    notes = RecentNotes(str(tmp_path / "asked"))
    notes.add(noted("shell", b"h", 1))
    notes.on_disk(1)
    assert headers(notes) == []
