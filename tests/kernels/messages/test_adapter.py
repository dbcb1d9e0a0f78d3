"""Kernels of protocol version 4."""

from __future__ import annotations

import orjson
import pytest

from jupyterd.kernels.messages.adapter import adapted, major_version


@pytest.mark.parametrize(
    ("info", "major"),
    [({"protocol_version": "5.4"}, 5), ({"protocol_version": [4, 1]}, 4), ({"protocol_version": "4.1"}, 4),
     ({"protocol_version": []}, 5), ({"protocol_version": "new"}, 5), ({}, 5), (None, 5)],
)  # fmt: skip
def test_the_version_is_as_the_kernel_says(info, major) -> None:
    assert major_version(info) == major


def parts(header, content, parent=None):
    return [orjson.dumps(each) for each in ({"msg_id": "m", **header}, parent or {}, {}, content)] + [b"buffer"]


def test_what_an_old_kernel_says_is_put_into_version_5() -> None:
    old = parts({"msg_type": "pyout"}, {"data": {"text/plain": "2"}, "metadata": {}, "execution_count": 1})
    header, _, _, content, buffer = adapted(old, 5)
    assert orjson.loads(header)["msg_type"] == "execute_result"
    assert orjson.loads(header)["version"].startswith("5.")
    assert (orjson.loads(content)["data"], buffer) == ({"text/plain": "2"}, b"buffer")


def test_what_an_old_kernel_is_told_is_put_into_version_4() -> None:
    new = parts({"msg_type": "inspect_request", "version": "5.3"}, {"code": "x.y", "cursor_pos": 3, "detail_level": 0})
    header, _, _, content, _ = adapted(new, 4)
    assert orjson.loads(header)["msg_type"] == "object_info_request"
    assert orjson.loads(content)["oname"] == "x.y"


@pytest.mark.parametrize("content", [b"{", b"[]", b"{}"])
def test_what_can_not_be_adapted_stays(content) -> None:
    broken = [b'{"msg_id": "m", "msg_type": "complete_reply"}', b"{}", b"{}", content]
    assert len(adapted(broken, 5)) == 4
