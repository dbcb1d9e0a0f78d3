"""JSON lines, and entries as the journal takes them."""

from __future__ import annotations

import io
import json
import socket
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.logger import LogEvent, LogLevel
from twisted.python.failure import Failure

from jupyterd.log_scrub import Scrubber
from jupyterd.log_styles import LARGEST_ENTRY, MAX_FIELD, Journal, JSONLines, entry_of, fields_of, json_of


def event(text: str = "kernel {kernel_id} died", **fields: Any) -> LogEvent:
    return {
        "log_format": text, "log_level": LogLevel.warn, "log_namespace": "jupyterd.kernels", "log_time": 1.5,
        "log_source": None, "log_logger": object(), "kernel_id": "k1", **fields,
    }  # fmt: skip


def unpack(data: bytes) -> dict[str, str]:
    """The fields of an entry, as journald reads them."""
    found, at = {}, 0
    while at < len(data):
        end = data.index(b"\n", at)
        line = data[at:end]
        if b"=" in line:
            name, _, value = line.partition(b"=")
            at = end + 1
        else:
            name, size = line, int.from_bytes(data[end + 1 : end + 9], "little")
            value = data[end + 9 : end + 9 + size]
            assert data[end + 9 + size : end + 10 + size] == b"\n"
            at = end + 10 + size
        found[name.decode()] = value.decode("utf-8", "replace")
    return found


def test_a_line_is_an_object_with_the_event_s_fields() -> None:
    stream = io.StringIO()
    JSONLines(stream)(event(reason="signal 9", seconds=1.25))
    [line] = stream.getvalue().splitlines()
    assert json.loads(line) == {
        "time": "1970-01-01T00:00:01.500Z", "level": "warn", "logger": "jupyterd.kernels",
        "message": "kernel k1 died", "kernel_id": "k1", "reason": "signal 9", "seconds": 1.25,
    }  # fmt: skip


def test_a_failure_has_its_traceback_and_no_line_end_gets_out() -> None:
    try:
        raise ValueError("a\nb")
    except ValueError:
        line = json_of(event("x\ny", log_failure=Failure()))
    assert "\n" not in line
    assert "ValueError: a\nb" in json.loads(line)["traceback"]


def test_a_field_can_not_take_the_place_of_ours() -> None:
    entry = json.loads(json_of(event("text", level="mine", logger="mine")))
    assert (entry["level"], entry["logger"]) == ("warn", "jupyterd.kernels")


def test_secrets_are_gone_from_both() -> None:
    one = event("{what}", what="hunter22 here", other=["hunter22"])
    Scrubber(lambda: ["hunter22"])(one)
    assert "hunter22" not in json_of(one)
    assert b"hunter22" not in entry_of(one)


def test_an_entry_of_the_journal() -> None:
    fields = unpack(entry_of(event(reason="two\nlines")))
    assert fields["MESSAGE"] == "kernel k1 died"
    assert fields["PRIORITY"] == "4"
    assert fields["SYSLOG_IDENTIFIER"] == "jupyterd"
    assert fields["JUPYTERD_KERNEL"] == "k1"
    assert fields["JUPYTERD_REASON"] == "two\nlines"


@given(st.dictionaries(st.text(max_size=20), st.text(max_size=200) | st.integers() | st.binary(), max_size=8))
def test_whatever_an_event_holds_the_entry_can_be_read(fields: dict[str, Any]) -> None:
    one = {**fields, **event()}
    read = unpack(entry_of(one))
    assert read["MESSAGE"] == "kernel k1 died"
    assert all(name.isascii() for name in read)
    json.loads(json_of(one))


def test_what_is_long_is_cut() -> None:
    one = event(**{f"f{number}": "x" * (2 * MAX_FIELD) for number in range(10)})
    assert len(entry_of(one)) <= LARGEST_ENTRY + MAX_FIELD
    assert all(len(str(value)) <= MAX_FIELD + 3 for value in fields_of(one).values())


def test_the_journal_gets_it_and_else_the_fallback(tmp_path: Path) -> None:
    address = str(tmp_path / "journal")
    told: list[LogEvent] = []
    journal = Journal(told.append, address)  # type: ignore[arg-type]
    journal(event())
    assert len(told) == 1
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(address)
        journal(event())
        assert unpack(listening.recv(1 << 20))["JUPYTERD_KERNEL"] == "k1"
    assert len(told) == 1


def test_a_stream_that_is_gone_is_no_reason_to_stop() -> None:
    stream = io.StringIO()
    stream.close()
    JSONLines(stream)(event())


@pytest.mark.parametrize("name", ["log_format", "_private", "not an identifier"])
def test_what_is_no_field_of_the_event(name: str) -> None:
    assert name not in fields_of({**event(), name: "x"})
