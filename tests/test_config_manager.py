"""Sections in JSON files."""

from __future__ import annotations

import json
import logging
import os
import stat
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyterd.config_manager import BaseJSONConfigManager, recursive_update, remove_defaults

VALUES = st.recursive(
    st.integers() | st.booleans() | st.text(max_size=3) | st.lists(st.integers(), max_size=2),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, min_size=1, max_size=3),
    max_leaves=8,
)
TREES = st.dictionaries(st.sampled_from("abc"), VALUES, max_size=3)


@given(TREES, TREES)
def test_an_update_holds_all_that_is_new(target: dict[str, Any], new: dict[str, Any]) -> None:
    updated = deepcopy(target)
    recursive_update(updated, new)
    again = deepcopy(updated)
    recursive_update(again, new)
    assert again == updated
    assert set(updated) == set(target) | set(new)


def test_none_deletes_and_empty_dicts_go() -> None:
    target = {"a": {"b": 1, "c": {"d": 1}}, "e": 1}
    recursive_update(target, {"a": {"c": {"d": None}}, "e": None, "none": {"x": None}})
    assert target == {"a": {"b": 1}}
    recursive_update(target, {"a": {"b": None}})
    assert target == {}
    target = {"a": 1}
    recursive_update(target, {"a": {"b": 2}})
    assert target == {"a": {"b": 2}}


@given(TREES, TREES)
def test_what_is_left_without_defaults_makes_the_same_with_them(data: dict[str, Any], defaults: dict[str, Any]) -> None:
    merged = deepcopy(defaults)
    recursive_update(merged, data)
    less = deepcopy(data)
    remove_defaults(less, defaults)
    again = deepcopy(defaults)
    recursive_update(again, less)
    assert again == merged


@pytest.fixture
def sections(tmp_path: Path) -> BaseJSONConfigManager:
    return BaseJSONConfigManager(config_dir=str(tmp_path / "config"))


def test_a_section_is_stored_and_read(sections: BaseJSONConfigManager) -> None:
    assert sections.get("none") == {}
    sections.set("one", {"a": {"b": "ü"}})
    assert sections.get("one") == {"a": {"b": "ü"}}
    assert sections.update("one", {"a": {"c": 1}}) == {"a": {"b": "ü", "c": 1}}
    assert sections.get("one") == {"a": {"b": "ü", "c": 1}}
    assert os.listdir(sections.config_dir) == ["one.json"]


def test_defaults_are_not_stored(sections: BaseJSONConfigManager) -> None:
    os.makedirs(sections.directory("one"))
    for name, content in (("a", {"x": 1, "y": 1}), ("b", {"y": 2})):
        Path(sections.directory("one"), f"{name}.json").write_text(json.dumps(content))
    assert sections.get("one") == {"x": 1, "y": 2}
    given_data = {"x": 1, "y": 3}
    sections.set("one", given_data)
    assert given_data == {"x": 1, "y": 3}
    assert json.loads(Path(sections.file_name("one")).read_text()) == {"y": 3}
    assert sections.get("one", include_root=False) == {"x": 1, "y": 2}
    sections.read_directory = False
    assert sections.get("one") == {"y": 3}


@pytest.mark.parametrize("text", ["{", "[]", "3", ""])
def test_a_file_that_is_no_section(
    sections: BaseJSONConfigManager, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    sections.ensure_config_dir_exists()
    Path(sections.file_name("one")).write_text(text)
    sections.log = logging.getLogger("test")
    assert sections.get("one") == {}
    assert ("Invalid JSON" in caplog.text) is bool(text)


def test_a_failed_write_leaves_the_old_file(sections: BaseJSONConfigManager) -> None:
    sections.set("one", {"a": 1})
    with pytest.raises(TypeError):
        sections.set("one", {"a": object()})
    assert sections.get("one") == {"a": 1}


def test_mode_and_link_of_a_file_stay(sections: BaseJSONConfigManager, tmp_path: Path) -> None:
    sections.ensure_config_dir_exists()
    elsewhere = tmp_path / "elsewhere.json"
    elsewhere.write_text("{}")
    elsewhere.chmod(0o640)
    os.symlink(elsewhere, sections.file_name("one"))
    sections.set("one", {"a": 1})
    assert os.path.islink(sections.file_name("one"))
    assert json.loads(elsewhere.read_text()) == {"a": 1}
    assert stat.S_IMODE(elsewhere.stat().st_mode) == 0o640
    sections.set("two", {})
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(os.stat(sections.file_name("two")).st_mode) == 0o666 & ~umask
