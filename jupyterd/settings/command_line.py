"""Command line: aliases, flags and ``--Class.trait=value``, read into a traitlets Config."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from traitlets.config import Config
from traitlets.config.loader import DeferredConfigList, DeferredConfigString

Aliases = Mapping[str, str]
Flags = Mapping[str, tuple[Mapping[str, Mapping[str, Any]], str]]

_TRAIT = re.compile(r"([A-Z]\w*\.)+[a-z_]\w*")
_NUMBER = re.compile(r"-\d+(\.\d+)?")


class BadOption(Exception):
    """An option that can not be understood; the message is one line for a person."""


@dataclass
class Parsed:
    """What was on the command line.

    :ivar config: the settings; values are strings that their traits read when they are known.
    :ivar words: what is not an option, in order.
    """

    config: Config = field(default_factory=Config)
    words: list[str] = field(default_factory=list)


def parse(argv: Sequence[str], aliases: Aliases, flags: Flags) -> Parsed:
    """Read ``argv`` (without the program's name).

    :raises BadOption: an option is unknown, lacks its value, or has one although it takes none.
    """
    parsed = Parsed()
    values: dict[str, list[str]] = {}
    rest = list(argv)
    while rest:
        word = rest.pop(0)
        if word == "--":
            parsed.words += rest
            break
        if not word.startswith("-") or word == "-":
            parsed.words.append(word)
            continue
        name, equals, value = word.lstrip("-").partition("=")
        trait = aliases.get(name) or (name if _TRAIT.fullmatch(name) else None)
        if name in flags and not (equals and trait):
            if equals:
                raise BadOption(f"option {_dashed(name)} takes no value")
            _set_flag(parsed.config, flags[name][0])
        elif trait is None:
            raise BadOption(f"unknown option {_dashed(name)}{_nearest(name, [*aliases, *flags])}")
        else:
            values.setdefault(trait, []).append(value if equals else _following(name, rest))
    for trait, given in values.items():
        _set(parsed.config, trait, given)
    return parsed


def _following(name: str, rest: list[str]) -> str:
    """The value of an option that is written as the next word."""
    if not rest or (rest[0].startswith("-") and rest[0] != "-" and not _NUMBER.fullmatch(rest[0])):
        raise BadOption(f"option {_dashed(name)} needs a value")
    return rest.pop(0)


def _set(config: Config, trait: str, values: list[str]) -> None:
    *path, last = trait.split(".")
    section = config
    for name in path:
        section = section[name]
    section[last] = _Once(values[0]) if len(values) == 1 else _Repeated(values)


class _Once(DeferredConfigString):
    """An option that was given once; the trait that reads it decides whether it is a whole list or one item of it."""

    def get_value(self, trait: Any) -> Any:
        if hasattr(trait, "from_string_list"):
            return DeferredConfigList([str(self)]).get_value(trait)
        return super().get_value(trait)

    __repr__ = str.__repr__  # traitlets' own goes round in circles for a subclass


class _Repeated(DeferredConfigList):
    """An option that was given several times: all of them for a list or dict, the last one for anything else."""

    def get_value(self, trait: Any) -> Any:
        if hasattr(trait, "from_string_list"):
            return super().get_value(trait)
        return DeferredConfigString(self[-1]).get_value(trait)

    __repr__ = list.__repr__


def _set_flag(config: Config, settings: Mapping[str, Mapping[str, Any]]) -> None:
    for section, traits in settings.items():
        config[section].update(traits)


def _dashed(name: str) -> str:
    return f"-{name}" if len(name) == 1 else f"--{name}"


def _nearest(name: str, known: Sequence[str]) -> str:
    from difflib import get_close_matches  # for who has mistyped, not for each start

    close = get_close_matches(name, known, n=1)
    return f"; did you mean {_dashed(close[0])}?" if close else ""
