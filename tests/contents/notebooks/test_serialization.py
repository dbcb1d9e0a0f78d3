"""A notebook's data never change on their way, and what is on disk is what nbformat writes."""

from __future__ import annotations

import copy
import json
import math
import os
import warnings
from typing import Any

import nbformat
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyterd.contents.encoded_models import encode_found, in_pieces
from jupyterd.contents.managers.filemanager import Found
from jupyterd.contents.notebooks import jsonio, serialization
from jupyterd.contents.notebooks.fast_validation import is_ordinary
from jupyterd.system.strict_json import finite

pytestmark = pytest.mark.slow

text = st.text(st.characters(blacklist_categories=("Cs",)))
numbers = st.one_of(st.integers(), st.integers(10**18, 10**40), st.floats(allow_nan=False, allow_infinity=False))
values = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, text),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(text, inner, max_size=4)),
    max_leaves=12,
)
lines = st.one_of(text, st.lists(text, max_size=4), st.sampled_from(["a\nb\n", "a\r\nb", "x\u2028y\x0bz\x85\n", ""]))
mimes = st.sampled_from(
    ["text/plain", "text/html", "image/png", "image/svg+xml", "application/json", "application/vnd.x+json", "a/b"]
)
bundles = st.dictionaries(mimes, st.one_of(lines, values), max_size=3)
metadata = st.dictionaries(
    st.one_of(st.sampled_from(["trusted", "tags", "collapsed", "scrolled", "jupyter", "name", "execution"]), text),
    values,
    max_size=3,
)
outputs = st.one_of(
    st.fixed_dictionaries({"output_type": st.just("stream"), "name": text, "text": lines}),
    st.fixed_dictionaries({"output_type": st.just("display_data"), "data": bundles, "metadata": metadata}),
    st.fixed_dictionaries(
        {
            "output_type": st.just("execute_result"),
            "data": bundles,
            "metadata": metadata,
            "execution_count": st.one_of(st.none(), st.integers(-1, 5)),
        }
    ),
    st.fixed_dictionaries(
        {"output_type": st.just("error"), "ename": text, "evalue": text, "traceback": st.lists(text, max_size=2)}
    ),
    st.fixed_dictionaries({"output_type": text}),
)
ids = st.one_of(st.from_regex(r"[a-zA-Z0-9_-]{1,64}\Z"), text)
cells = st.one_of(
    st.fixed_dictionaries(
        {
            "cell_type": st.just("code"),
            "metadata": metadata,
            "source": lines,
            "outputs": st.lists(outputs, max_size=3),
            "execution_count": st.one_of(st.none(), st.integers(-1, 5)),
        },
        optional={"id": ids},
    ),
    st.fixed_dictionaries(
        {"cell_type": st.sampled_from(["markdown", "raw", "heading"]), "metadata": metadata, "source": lines},
        optional={"id": ids, "attachments": st.dictionaries(text, bundles, max_size=2), "extra": values},
    ),
)
any_notebook = st.fixed_dictionaries(
    {
        "cells": st.lists(cells, max_size=12),
        "metadata": metadata,
        "nbformat": st.just(4),
        "nbformat_minor": st.integers(0, 6),
    },
    optional={"extra": values},
)


@st.composite
def plain_notebooks(draw: st.DrawFn) -> dict[str, Any]:
    """Notebooks that nearly always are valid, with what is unusual in their data."""
    found = []
    for number in range(draw(st.integers(0, 20))):
        kind = draw(st.sampled_from(["code", "markdown"]))
        cell = {"cell_type": kind, "id": f"id-{number}", "metadata": {"x": draw(values)}, "source": draw(lines)}
        if kind == "code":
            bundle = draw(st.dictionaries(mimes, lines, max_size=2))
            bundle["application/json"] = draw(values)
            cell["outputs"] = [{"output_type": "display_data", "data": bundle, "metadata": {}}]
            cell["execution_count"] = None
        found.append(cell)
    return {"cells": found, "metadata": {"y": draw(values)}, "nbformat": 4, "nbformat_minor": 5}


def rendered(nb: Any, plain: bool = True) -> bytes:
    return b"".join(serialization.render(nb, plain, lambda _: None)[0])


def by_nbformat(nb: Any) -> bytes:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return nbformat.writes(nbformat.from_dict(nb)).encode() + b"\n"


@settings(deadline=None, max_examples=150)
@given(plain_notebooks())
def test_on_disk_it_is_what_nbformat_writes(nb: dict[str, Any]) -> None:
    assert rendered(copy.deepcopy(nb)) == by_nbformat(nb)


@settings(deadline=None, max_examples=150)
@given(plain_notebooks())
def test_it_is_read_as_nbformat_reads_it(nb: dict[str, Any]) -> None:
    raw = by_nbformat(nb)
    found = serialization.parse(raw)
    assert found.content == nbformat.reads(raw.decode(), as_version=4)
    assert found.error is None
    assert json.loads(jsonio.to_wire(found.content)) == found.content


@settings(deadline=None, max_examples=300)
@given(any_notebook)
def test_ordinary_ones_are_valid(nb: dict[str, Any]) -> None:
    if is_ordinary(nb):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            nbformat.validate(copy.deepcopy(nb))


@settings(deadline=None, max_examples=150)
@given(any_notebook)
def test_whatever_it_is_the_verdict_is_nbformats(nb: dict[str, Any]) -> None:
    raw = json.dumps(nb).encode()
    caught: dict[str, Any] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            nbformat.reads(raw.decode(), as_version=4, capture_validation_error=caught)
        except Exception as expected:  # noqa: BLE001
            with pytest.raises(type(expected)):
                serialization.parse(raw)
            return
    assert (serialization.parse(raw).error is None) == (not caught)


def test_real_notebooks_are_ordinary(notebook: Any) -> None:
    nb = notebook("x = 1\n", "y")
    nb["cells"][0]["outputs"] = [
        {"output_type": "stream", "name": "stdout", "text": "1\n"},
        {"output_type": "error", "ename": "E", "evalue": "v", "traceback": ["t"]},
        {"output_type": "execute_result", "execution_count": 1, "metadata": {}, "data": {"text/plain": ["1"]}},
    ]
    nb["cells"][0]["metadata"] = {"tags": ["a"], "collapsed": False, "scrolled": "auto", "execution": {"x": "2020"}}
    nb["metadata"] = {
        "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
        "language_info": {"name": "python", "codemirror_mode": {"name": "ipython"}, "mimetype": "text/x-python"},
    }
    assert is_ordinary(nb)


@pytest.mark.parametrize(
    "raw",
    [b'{"a": NaN}', b'{"a": -Infinity}', b'{"a": "\\ud800"}', b'[1e400, 123456789012345678901234567890, "\\u0000"]'],
)
def test_what_json_does_not_know_is_kept(raw: bytes) -> None:
    parsed = jsonio.loads(raw)
    again = json.loads(jsonio.to_disk(parsed.value, parsed.plain))
    assert repr(again) == repr(json.loads(raw))
    wire = json.loads(jsonio.to_wire(parsed.value), parse_constant=pytest.fail)
    assert repr(wire) == repr(finite(json.loads(raw)))


@given(values)
def test_json_is_read_as_the_standard_library_reads_it(value: Any) -> None:
    raw = json.dumps(value).encode()
    assert repr(jsonio.loads(raw).value) == repr(json.loads(raw))


@given(values)
def test_and_written_as_nbformat_writes_it(value: Any) -> None:
    expected = json.dumps(value, indent=1, sort_keys=True, separators=(",", ": "), ensure_ascii=False)
    assert jsonio.to_disk(value, True) == expected.encode() + b"\n"


@pytest.mark.parametrize("number", [1e-5, 1e16, 1e22, 5e-324, -0.0, 0.1, 123456789012345680.0, math.pi])
def test_floats_are_spelt_as_python_does(number: float) -> None:
    assert jsonio.to_disk([number], True) == f"[\n {number!r}\n]\n".encode()


def test_a_lone_surrogate_is_saved_as_its_escape(notebook: Any) -> None:
    nb = notebook("x")
    nb["metadata"]["s"] = "\ud800"
    data = rendered(nb, plain=False)
    assert json.loads(data)["metadata"]["s"] == "\ud800"
    assert serialization.parse(data).content["metadata"]["s"] == "\ud800"


@pytest.mark.parametrize("raw", [b"", b"hello", b"[]", b'"x"', b"{", b'{"nbformat": 99}'])
def test_what_is_no_notebook_is_refused(raw: bytes) -> None:
    with pytest.raises((ValueError, AttributeError, nbformat.ValidationError)):
        serialization.parse(raw)


def test_old_formats_are_converted() -> None:
    old = {
        "metadata": {"name": "old"},
        "nbformat": 3,
        "nbformat_minor": 0,
        "worksheets": [
            {"metadata": {}, "cells": [{"cell_type": "heading", "level": 2, "source": ["h"], "metadata": {}}]}
        ],
    }
    nb = serialization.parse(json.dumps(old).encode()).content
    assert (nb["nbformat"], nb["cells"][0]["source"]) == (4, "## h")


def test_what_is_wrong_is_said(notebook: Any) -> None:
    nb = notebook("x")
    nb["cells"][0]["bogus"] = 1
    pieces, message = serialization.render(nb, True, lambda _: None)
    assert message is not None
    assert message.startswith("Notebook validation failed: Additional properties are not allowed ('bogus'")
    assert b"bogus" in b"".join(pieces)


@settings(deadline=None, max_examples=60)
@given(plain_notebooks())
def test_in_pieces_it_is_the_same(nb: dict[str, Any]) -> None:
    model = {"name": "é.ipynb", "type": "notebook", "content": nb, "format": "json"}
    found = Found(model, os.stat("/"))
    assert json.loads(b"".join(in_pieces(found))) == json.loads(encode_found(found)) == model
