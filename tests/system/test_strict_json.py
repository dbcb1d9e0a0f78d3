"""JSON that browsers take, whatever Python has in it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyterd.system.strict_json import dumps, finite, loads

values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(values)
def test_what_is_written_can_be_read_and_is_the_same_but_for_null(value: Any) -> None:
    again = json.loads(dumps(value), parse_constant=pytest.fail)
    assert again == finite(value)
    assert finite(again) is again


def test_what_json_does_not_know_is_asked_for() -> None:
    assert dumps({"a": {1.5}, "b": float("inf")}, default=list) == '{"a": [1.5], "b": null}'
    assert dumps([{float("nan")}], default=list) == "[[null]]"


@pytest.mark.parametrize("data", [b'\xef\xbb\xbf{"a": NaN}', '\ufeff{"a": NaN}'])
def test_files_of_others(data: bytes | str) -> None:
    assert loads(data) == {"a": None}


@pytest.mark.parametrize("data", [b"", b"\xff", b"{", b"[" * 100_000])
def test_no_json(data: bytes) -> None:
    with pytest.raises(ValueError):
        loads(data)
