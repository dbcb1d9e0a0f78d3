"""What the host puts between extensions and libraries."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

import pytest

from jupyterd.extension_host.shims import IRI, iri_grammar_late

GRAMMAR = """
import builtins
builtins.grammars_read += 1

def is_valid_syntax(term, value):
    return (term, value) == ("iri", "a:b")

TERMS = ["iri"]
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A package of that name whose import is counted in ``builtins.grammars_read``."""
    (tmp_path / IRI).mkdir()
    (tmp_path / IRI / "__init__.py").write_text(GRAMMAR)
    (tmp_path / IRI / "utils.py").write_text("")
    for name in (IRI, f"{IRI}.utils"):
        monkeypatch.setitem(sys.modules, name, sys)  # what was there comes back
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr("builtins.grammars_read", 0, raising=False)
    iri_grammar_late()
    return IRI


def read() -> int:
    import builtins

    return int(builtins.grammars_read)  # type: ignore[attr-defined]


def test_a_grammar_is_read_when_the_first_iri_is_checked(package: str) -> None:
    from rfc3987_syntax import is_valid_syntax  # as jsonschema does it

    assert read() == 0
    assert [is_valid_syntax("iri", value) for value in ("a:b", "a b")] == [True, False]
    assert read() == 1
    assert import_module(package).is_valid_syntax is not is_valid_syntax


def test_who_wants_another_name_of_it_gets_the_whole(package: str) -> None:
    import_module(f"{package}.utils")
    assert read() == 0
    assert import_module(package).TERMS == ["iri"]
    assert read() == 1


def test_where_it_is_not_installed_there_is_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, IRI, sys)
    monkeypatch.delitem(sys.modules, IRI)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    iri_grammar_late()
    assert IRI not in sys.modules
