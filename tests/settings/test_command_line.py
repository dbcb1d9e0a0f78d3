"""The command line: what is taken, what is refused, and in which words."""

from __future__ import annotations

import string
from contextlib import suppress
from functools import reduce
from operator import getitem

import pytest
from hypothesis import given
from hypothesis import strategies as st
from traitlets import Bool, Dict, Integer, List, Unicode
from traitlets.config import Config, Configurable

from jupyterd.settings.aliases import ALIASES, FLAGS
from jupyterd.settings.command_line import BadOption, parse


def config_of(*argv: str) -> Config:
    return parse(argv, ALIASES, FLAGS).config


class Holder(Configurable):
    number = Integer(0, config=True)
    text = Unicode("", config=True)
    switch = Bool(False, config=True)
    several = List(Unicode(), config=True)
    table = Dict(config=True)


def holder(*argv: str) -> Holder:
    return Holder(config=config_of(*argv))


@pytest.mark.parametrize(
    "written", [["--port=9999"], ["--port", "9999"], ["--ServerApp.port=9999"], ["--ServerApp.port", "9999"]]
)
def test_a_value_may_stand_behind_a_space_or_an_equals_sign(written: list[str]) -> None:
    assert config_of(*written).ServerApp.port == "9999"


def test_each_alias_of_the_reference_sets_its_trait() -> None:
    for alias, trait in ALIASES.items():
        section, name = trait.split(".")
        assert config_of(f"--{alias}=x")[section][name] == "x"


def test_each_flag_sets_its_traits() -> None:
    for flag, (settings, _) in FLAGS.items():
        config = config_of(f"-{flag}" if len(flag) == 1 else f"--{flag}")
        for section, traits in settings.items():
            assert {name: config[section][name] for name in traits} == traits


def test_values_become_what_their_trait_is() -> None:
    made = holder("--Holder.number=-3", "--Holder.switch=True", "--Holder.text=1", "--Holder.table={'a': 1}")
    assert (made.number, made.switch, made.text, made.table) == (-3, True, "1", {"a": 1})


def test_a_negative_number_is_a_value() -> None:
    assert holder("--Holder.number", "-3").number == -3


def test_a_list_is_one_option_or_several() -> None:
    assert holder("--Holder.several=a").several == ["a"]
    assert holder("--Holder.several=a", "--Holder.several=b").several == ["a", "b"]
    assert holder("--Holder.table", "a=1", "--Holder.table", "b=2").table == {"a": "1", "b": "2"}


def test_the_last_of_several_wins_elsewhere() -> None:
    assert holder("--Holder.number=1", "--Holder.number=2").number == 2


def test_words_and_what_follows_a_double_dash_are_not_options() -> None:
    parsed = parse(["here", "--port=1", "--", "--port=2", "-x"], ALIASES, FLAGS)
    assert parsed.words == ["here", "--port=2", "-x"]
    assert parsed.config.ServerApp.port == "1"


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--prot=1"], "unknown option --prot; did you mean --port?"),
        (["--no-brower"], "unknown option --no-brower; did you mean --no-browser?"),
        (["--zzzz"], "unknown option --zzzz"),
        (["-q"], "unknown option -q"),
        (["--A.B=1"], "unknown option --A.B"),
        (["--serverApp.port=1"], "unknown option --serverApp.port"),
        (["--port"], "option --port needs a value"),
        (["--port", "--debug"], "option --port needs a value"),
        (["--debug=1"], "option --debug takes no value"),
        (["-y=1"], "option -y takes no value"),
        (["--ServerApp.port"], "option --ServerApp.port needs a value"),
    ],
)
def test_what_can_not_be_understood_is_one_line(argv: list[str], message: str) -> None:
    with pytest.raises(BadOption) as caught:
        config_of(*argv)
    assert str(caught.value) == message


def test_settings_can_be_shown() -> None:
    assert "'9'" in repr(config_of("--port=9"))
    assert "'a', 'b'" in repr(config_of("--X.y=a", "--X.y=b"))


@given(st.lists(st.text(max_size=20), max_size=8))
def test_any_command_line_is_parsed_or_refused(argv: list[str]) -> None:
    with suppress(BadOption):
        parse(argv, ALIASES, FLAGS)


@given(
    st.dictionaries(
        st.tuples(st.sampled_from(["A", "Bc", "D.E"]), st.text(string.ascii_lowercase, min_size=1)).map(".".join),
        st.text(max_size=30),
        max_size=5,
    )
)
def test_every_value_arrives_as_it_was_written(settings: dict[str, str]) -> None:
    config = config_of(*[f"--{name}={value}" for name, value in settings.items()])
    for name, value in settings.items():
        section, _, trait = name.rpartition(".")
        assert str(reduce(getitem, section.split("."), config)[trait]) == value


def test_nothing_known_is_left_out() -> None:
    """The short names that the reference's help lists."""
    aliases = (
        "log-level config ip port port-retries sock sock-mode transport keyfile certfile client-ca notebook-dir "
        "preferred-dir browser pylab gateway-url"
    )
    flags = "debug show-config show-config-json generate-config y allow-root no-browser autoreload script no-script"
    assert set(aliases.split()) <= set(ALIASES)
    assert set(flags.split()) <= set(FLAGS)
