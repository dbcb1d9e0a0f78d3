"""Body schemas: what a request's JSON body has to be, declared on its route and checked in one place.

A schema is written as in ``status/openapi.yaml``, which clients read; a test holds the two together, so that the file
is a contract. It is compiled to plain functions, once: a small body is checked in microseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from jupyterd.errors import Invalid

Schema = Mapping[str, Any]
Check = Callable[[Any, str], None]

TYPES: dict[str, tuple[type | tuple[type, ...], str]] = {
    "string": (str, "a string"),
    "boolean": (bool, "true or false"),
    "integer": (int, "a whole number"),
    "number": ((int, float), "a number"),
    "object": (dict, "a JSON object"),
    "array": (list, "a list"),
}
WORDS = {
    "type", "nullable", "properties", "required", "additionalProperties", "minLength", "maxLength", "description"
}  # fmt: skip
"""Of a schema, those that are known here: another one would be a promise that nobody keeps."""

NOT_AN_OBJECT = "The request body must be a JSON object"


class Body:
    """The JSON object that a route takes.

    :param schema: of the object.
    :param required: there has to be one; else nothing, or ``null``, is as good as an empty one.
    :param absent: the complaint where there is none.
    :param other: the complaint where it is no object.
    :param missing: the complaint where a property is missing; ``{name}`` stands for it.
    """

    def __init__(
        self,
        schema: Schema,
        *,
        required: bool = True,
        absent: str = NOT_AN_OBJECT,
        other: str = NOT_AN_OBJECT,
        missing: str = "{name} is missing",
    ) -> None:
        self.schema = schema
        self.required = required
        self._absent = absent
        self._other = other
        self._check = _object(schema, missing)

    def checked(self, value: Any) -> dict[str, Any]:
        """The body, if it is what the schema says.

        :raises Invalid: what is wrong with it, in one sentence.
        """
        if value is None:
            if self.required:
                raise Invalid(self._absent)
            value = {}
        if not isinstance(value, dict):
            raise Invalid(self._other)
        self._check(value, "")
        return value


def _compiled(schema: Schema, missing: str) -> Check:
    if unknown := set(schema) - WORDS:
        raise ValueError(f"no check is made for {', '.join(sorted(unknown))}")
    kind = schema.get("type")
    if kind is None:
        return _anything
    if kind == "string":
        check = _string(schema)
    elif kind == "object" and set(schema) & {"properties", "required", "additionalProperties"}:
        check = _typed(kind, _object(schema, missing))
    else:
        check = _typed(kind, _anything)
    return _nullable(check) if schema.get("nullable") else check


def _anything(value: Any, name: str) -> None:
    """Whatever it is."""


def _nullable(check: Check) -> Check:
    def checked(value: Any, name: str) -> None:
        if value is not None:
            check(value, name)

    return checked


def _typed(kind: str, check: Check) -> Check:
    types, words = TYPES[kind]
    no_boolean = kind in ("integer", "number")  # which Python takes for a number

    def checked(value: Any, name: str) -> None:
        if not isinstance(value, types) or (no_boolean and isinstance(value, bool)):
            raise Invalid(f"{name} must be {words}")
        check(value, name)

    return checked


def _string(schema: Schema) -> Check:
    least, most = schema.get("minLength", 0), schema.get("maxLength")

    def checked(value: Any, name: str) -> None:
        if not isinstance(value, str):
            raise Invalid(f"{name} must be a string")
        if not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError:
                raise Invalid(f"{name} holds half of a character") from None
        if len(value) < least or (most is not None and len(value) > most):
            raise Invalid(f"{name} must be a string of {least} to {most} characters")

    return checked


def _object(schema: Schema, missing: str) -> Check:
    checks = {name: _compiled(each, missing) for name, each in schema.get("properties", {}).items()}
    required = tuple(schema.get("required", ()))
    closed = schema.get("additionalProperties") is False

    def checked(value: dict[str, Any], name: str) -> None:
        for wanted in required:
            if wanted not in value:
                raise Invalid(missing.format(name=wanted))
        for given, each in value.items():
            check = checks.get(given)
            if check is not None:
                check(each, given)
            elif closed:
                raise Invalid(f"{given} is not known")

    return checked
