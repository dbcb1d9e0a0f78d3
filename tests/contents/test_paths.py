"""No API path leads out of the root, whatever it is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyterd.contents.paths import (
    HideGlobs,
    OutsideRoot,
    is_hidden,
    mimetype_of,
    split,
    to_api_path,
    to_os_path,
)

segments = st.one_of(
    st.sampled_from(["..", ".", "", "a", "..a", "a..", ".hidden", "%2e%2e", "\\", "~", "/"]), st.text()
)


@given(st.lists(segments, max_size=8).map("/".join), st.sampled_from(["/srv/nb", "/srv", "/"]))
def test_a_path_is_below_the_root_or_refused(path: str, root: str) -> None:
    try:
        found = to_os_path(root, path)
    except OutsideRoot:
        return
    assert found == os.path.normpath(found)
    assert found == root or found.startswith(root.rstrip("/") + "/")


@given(
    st.lists(st.text(st.characters(blacklist_characters="/\0", blacklist_categories=("Cs",)), min_size=1), min_size=1)
)
def test_plain_names_survive_both_ways(names: list[str]) -> None:
    if any(name in (".", "..") for name in names):
        return
    path = "/".join(names)
    assert to_api_path("/srv/nb", to_os_path("/srv/nb", path)) == path


@pytest.mark.parametrize("path", ["../x", "a/../../x", "../nb2/x", "..", "a\0b", "/../x", "a/../..", "\ud800"])
def test_refused(path: str) -> None:
    with pytest.raises(OutsideRoot):
        to_os_path("/srv/nb", path)


def test_a_sibling_with_the_roots_name_as_prefix_is_outside() -> None:
    with pytest.raises(OutsideRoot):
        to_os_path("/srv/nb", "../nb-secret/x")


def test_slash_as_root_contains_all() -> None:
    assert to_os_path("/", "etc/hosts") == "/etc/hosts"


def test_hidden_by_any_name_on_the_way(tmp_path: Path) -> None:
    (tmp_path / ".h" / "d").mkdir(parents=True)
    (tmp_path / "v").touch()
    root = str(tmp_path)
    assert is_hidden(str(tmp_path / ".h/d"), root)
    assert is_hidden(str(tmp_path / ".h/not-there"), root)
    assert not is_hidden(str(tmp_path / "v"), root)
    assert not is_hidden(str(tmp_path / "not-there"), root)
    assert not is_hidden(root, root)


def test_a_hidden_root_is_not_hidden(tmp_path: Path) -> None:
    root = tmp_path / ".root"
    root.mkdir()
    (root / "a").touch()
    assert not is_hidden(str(root / "a"), str(root))


def test_what_can_not_be_there_is_hidden_by_its_name_alone(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    assert not is_hidden(str(tmp_path / "loop"), str(tmp_path))
    assert not is_hidden(str(tmp_path / ("x" * 300)), str(tmp_path))


def test_globs_match_whole_names() -> None:
    globs = HideGlobs(["*.pyc", "__pycache__", "*~"])
    assert [name for name in ("a.pyc", "__pycache__", "b~", "a.py", "x__pycache__") if globs.hides(name)] == [
        "a.pyc",
        "__pycache__",
        "b~",
    ]
    assert not HideGlobs([]).hides("a.pyc")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.txt", "text/plain"),
        ("a", None),
        ("a.tar.gz", "application/x-tar"),
        ("A.PNG", "image/png"),
        ("a.JS", "application/javascript"),
    ],
)
def test_mimetypes_by_suffix(name: str, kind: str | None) -> None:
    assert mimetype_of(name) == kind


def test_split() -> None:
    assert split("/a/b/c/") == ("a/b", "c")
    assert split("c") == ("", "c")
