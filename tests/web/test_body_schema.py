"""Request bodies against the schemas of their routes."""

from __future__ import annotations

from typing import Any

import pytest

from jupyterd.errors import Invalid
from jupyterd.web.body_schema import Body

TEXT = {"type": "string", "nullable": True}
SCHEMA = {
    "type": "object",
    "required": ["code"],
    "additionalProperties": False,
    "properties": {
        "code": {"type": "string"},
        "name": TEXT,
        "silent": {"type": "boolean"},
        "count": {"type": "integer"},
        "ratio": {"type": "number"},
        "list": {"type": "array"},
        "any": {"description": "whatever"},
        "key": {"type": "string", "minLength": 1, "maxLength": 3},
        "kernel": {"type": "object", "nullable": True, "properties": {"id": TEXT}, "required": ["id"]},
    },
}


@pytest.mark.parametrize(
    "more",
    [
        {}, {"name": None}, {"name": "\u00e4"}, {"silent": True}, {"count": 3}, {"ratio": 1}, {"ratio": 1.5},
        {"list": []}, {"any": None}, {"any": {"a": [1]}}, {"key": "abc"}, {"kernel": None},
        {"kernel": {"id": "k", "more": 1}},
    ],
)  # fmt: skip
def test_what_fits_is_given_as_it_is(more: dict[str, Any]) -> None:
    value = {"code": "1", **more}
    assert Body(SCHEMA).checked(value) is value


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        (None, "The request body must be a JSON object"),
        ([], "The request body must be a JSON object"),
        ("x", "The request body must be a JSON object"),
        ({}, "code is missing"),
        ({"code": 1}, "code must be a string"),
        ({"code": None}, "code must be a string"),
        ({"code": "\ud800"}, "code holds half of a character"),
        ({"code": "", "name": 5}, "name must be a string"),
        ({"code": "", "silent": 1}, "silent must be true or false"),
        ({"code": "", "count": True}, "count must be a whole number"),
        ({"code": "", "count": 1.5}, "count must be a whole number"),
        ({"code": "", "ratio": "1"}, "ratio must be a number"),
        ({"code": "", "list": {}}, "list must be a list"),
        ({"code": "", "key": ""}, "key must be a string of 1 to 3 characters"),
        ({"code": "", "key": "abcd"}, "key must be a string of 1 to 3 characters"),
        ({"code": "", "kernel": []}, "kernel must be a JSON object"),
        ({"code": "", "kernel": {}}, "id is missing"),
        ({"code": "", "kernel": {"id": 1}}, "id must be a string"),
        ({"code": "", "other": 1}, "other is not known"),
    ],
)
def test_what_does_not_fit_is_named(value: Any, complaint: str) -> None:
    with pytest.raises(Invalid) as caught:
        Body(SCHEMA).checked(value)
    assert caught.value.message == complaint


def test_no_body_is_an_empty_one_where_none_is_required() -> None:
    assert Body({"type": "object", "properties": {"name": TEXT}}, required=False).checked(None) == {}


def test_the_words_of_a_complaint_are_the_routes() -> None:
    body = Body({"type": "object", "required": ["a"]}, absent="No JSON data provided", missing="Missing `{name}`.")
    for value, complaint in ((None, "No JSON data provided"), ({}, "Missing `a`.")):
        with pytest.raises(Invalid, match=complaint):
            body.checked(value)


def test_a_schema_promises_nothing_that_is_not_checked() -> None:
    with pytest.raises(ValueError, match="pattern"):
        Body({"type": "object", "properties": {"a": {"type": "string", "pattern": "x"}}})
