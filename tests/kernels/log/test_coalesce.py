"""Merging late streams, and the reference's rate limits."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from jupyterd.kernels.log.coalesce import LARGEST, coalesced
from jupyterd.kernels.log.rate_limit import RateLimit


def message(kind="stream", text="x", name="stdout", parent=b"{}", metadata=b"{}", buffers=()):
    header = json.dumps({"msg_id": text[:5], "msg_type": kind}).encode()
    content = {"name": name, "text": text} if kind == "stream" else {"data": text}
    return [header, parent, metadata, json.dumps(content).encode(), *buffers]


said = st.lists(
    st.builds(
        message,
        st.sampled_from(["stream", "stream", "stream", "display_data", "clear_output"]),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
        st.sampled_from(["stdout", "stderr"]),
        st.sampled_from([b"{}", b'{"msg_id": "a"}']),
        st.sampled_from([b"{}", b"{}", b'{"k": 1}']),
    ),
    max_size=20,
)


def told(messages):
    """What a client shows: streams as (parent, name, text) with neighbours joined, all else as it is."""
    out = []
    for parts in messages:
        content = json.loads(parts[3])
        if "text" not in content or parts[2] != b"{}":
            out.append([bytes(part) for part in parts])
        elif out and isinstance(out[-1], tuple) and out[-1][:2] == (parts[1], content["name"]):
            out[-1] = (*out[-1][:2], out[-1][2] + content["text"])
        else:
            out.append((parts[1], content["name"], content["text"]))
    return out


@given(said)
def test_merging_changes_nothing_that_is_shown(messages) -> None:
    merged = [parts for parts, _ in coalesced(messages)]
    assert told(merged) == told(messages)
    assert len(merged) <= len(messages)


def test_a_run_becomes_one_with_the_header_of_its_first() -> None:
    run = [message(text=f"{number}") for number in range(100)]
    ((one, count),) = coalesced(run)
    assert count == len(run)
    assert one[0] == run[0][0]
    assert json.loads(one[3])["text"] == "".join(map(str, range(100)))


def test_merged_messages_do_not_grow_without_end() -> None:
    merged = [parts for parts, _ in coalesced([message(text="x" * 10_000) for _ in range(100)])]
    assert all(len(parts[3]) <= LARGEST + 11_000 for parts in merged)


def test_messages_with_buffers_stay() -> None:
    run = [message(buffers=(b"x",)), message(), message()]
    assert len(coalesced(run)) == 2


def test_no_limit_holds_nothing() -> None:
    limit = RateLimit(0, 0, 3.0)
    assert all(limit.judge(0.0, message()).passes for _ in range(10_000))


def test_a_message_limit_is_told_once_and_over_when_the_rate_is_down() -> None:
    limit = RateLimit(10, 0, 1.0)
    verdicts = [limit.judge(0.0, message("display_data")) for _ in range(20)]
    assert [verdict.passes for verdict in verdicts] == [True] * 10 + [False] * 10
    assert [len(verdict.texts) for verdict in verdicts] == [0] * 10 + [1] + [0] * 9
    assert "iopub_msg_rate_limit" in verdicts[10].texts[0]
    assert limit.judge(1.1, message("display_data")).passes


def test_a_data_limit_counts_streams_alone() -> None:
    limit = RateLimit(0, 1000, 1.0)
    assert all(limit.judge(0.0, message("display_data", "x" * 500)).passes for _ in range(10))
    verdicts = [limit.judge(0.0, message(text="x" * 300)) for _ in range(5)]
    assert [verdict.passes for verdict in verdicts] == [True, True, False, False, False]
    assert "iopub_data_rate_limit" in verdicts[2].texts[0]


def test_statuses_always_pass_and_idle_begins_anew() -> None:
    limit = RateLimit(1, 0, 1.0)
    idle = [b'{"msg_id": "x", "msg_type": "status"}', b"{}", b"{}", b'{"execution_state": "idle"}']
    assert limit.judge(0.0, message("error")).passes
    assert not limit.judge(0.0, message("error")).passes
    assert limit.judge(0.0, idle).passes
    assert limit.judge(0.0, message("error")).passes
