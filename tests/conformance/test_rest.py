"""The REST API beside the reference: good requests and bad ones, answered alike or on purpose otherwise."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.conformance import contents_cases, contents_stories, service_cases
from tests.conformance.asking import Case, Story, ask, compare
from tests.conformance.rules import RULES, deliberate
from tests.conformance.servers import Pair

DIFFERENCES = Path(__file__).parents[2] / "docs/differences.md"
CASES = [*contents_cases.reading(), *contents_cases.files(), *service_cases.walk()]
STORIES = [
    *contents_stories.writing(),
    *service_cases.kernels(),
    *service_cases.sessions(),
    *service_cases.terminals(),
    *service_cases.others(),
]


def named(names: list[str]) -> list[str]:
    """Test ids: short, printable, each once."""
    plain = [re.sub(r"[^ -~]", "_", name)[:90] for name in names]
    return [f"{index} {name}" for index, name in enumerate(plain)]


def divergence(both: Pair, case: Case) -> tuple[list[str], bool]:
    """What differs and shall not; and whether one server did what the other refused."""
    ours, theirs = ask(both, case)
    found = compare(case, ours, theirs)
    apart = (ours.status < 400) != (theirs.status < 400) or theirs.status == 500
    return ([] if not found or deliberate(case, ours, theirs, found) else [case.name, *found]), apart


@pytest.mark.parametrize("case", CASES, ids=named([case.name for case in CASES]))
def test_answers_as_the_reference(both: Pair, case: Case) -> None:
    found, _ = divergence(both, case)
    assert not found, "\n".join(found)


@pytest.mark.parametrize("story", STORIES, ids=named([story.name for story in STORIES]))
def test_goes_through_a_story_as_the_reference(both: Pair, story: Story) -> None:
    """From where only one of the two did something, the story can not be compared, unless it says so."""
    all_found = []
    for case in story.cases:
        found, apart = divergence(both, case)
        all_found += found
        if apart and not story.to_the_end:
            break
    assert not all_found, "\n".join(all_found)


def test_each_rule_is_described() -> None:
    text = DIFFERENCES.read_text()
    for rule in RULES:
        assert f"\n### {rule.heading}\n" in text, f"docs/differences.md has no heading {rule.heading!r}"
