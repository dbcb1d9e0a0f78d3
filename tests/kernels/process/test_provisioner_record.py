"""The record of a provisioner comes back as it was, through JSON."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from jupyterd.kernels.process.provisioner_record import from_json, to_json

PLAIN = st.none() | st.booleans() | st.integers() | st.text() | st.binary()
VALUES = st.recursive(PLAIN, lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=8), inner), max_leaves=20)


@given(VALUES)
def test_nothing_is_lost(value: Any) -> None:
    assert from_json(json.loads(json.dumps(to_json(value)))) == value
