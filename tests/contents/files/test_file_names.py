"""Names that the server chooses."""

from __future__ import annotations

from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyterd.contents.files.file_names import candidates, human_size, without_copy_suffix


@pytest.mark.parametrize(
    ("name", "insert", "expected"),
    [
        ("Untitled.ipynb", "", ["Untitled.ipynb", "Untitled1.ipynb", "Untitled2.ipynb"]),
        ("Untitled Folder", " ", ["Untitled Folder", "Untitled Folder 1", "Untitled Folder 2"]),
        ("a.tar.gz", "-Copy", ["a.tar.gz", "a-Copy1.tar.gz", "a-Copy2.tar.gz"]),
        ("v1.2.ipynb", "-Copy", ["v1.2.ipynb", "v1.2-Copy1.ipynb", "v1.2-Copy2.ipynb"]),
        ("untitled", "", ["untitled", "untitled1", "untitled2"]),
    ],
)
def test_candidates(name: str, insert: str, expected: list[str]) -> None:
    assert list(islice(candidates(name, insert), 3)) == expected


@given(st.text(min_size=1), st.sampled_from(["", " ", "-Copy"]))
def test_candidates_differ_and_keep_their_suffix(name: str, insert: str) -> None:
    found = list(islice(candidates(name, insert), 5))
    assert found[0] == name
    assert len(set(found)) == 5
    if name.endswith(".ipynb"):
        assert all(one.endswith(".ipynb") for one in found)


def test_a_copy_of_a_copy_is_a_copy_of_the_first() -> None:
    assert without_copy_suffix("a-Copy3.ipynb") == "a.ipynb"
    assert without_copy_suffix("a-Copy.ipynb") == "a.ipynb"


@pytest.mark.parametrize(("size", "text"), [(0, "0 Bytes"), (1023, "1023 Bytes"), (1536, "1.5 KB"), (5 << 30, "5 GB")])
def test_human_size(size: int, text: str) -> None:
    assert human_size(size) == text
