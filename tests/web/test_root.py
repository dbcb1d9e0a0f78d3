"""Which mount answers a path."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.web.resource import Resource

from jupyterd.web.root import Mount, Root


def mounted(*prefixes: str, exact: tuple[str, ...] = ()) -> tuple[Root, dict[str, Mount]]:
    root = Root("/")
    mounts = {prefix: root.mount(prefix, Resource, auth="x")[0] for prefix in prefixes}
    mounts |= {prefix: root.mount(prefix, Resource, auth="x", exact=True)[0] for prefix in exact}
    return root, mounts


def segments(path: str) -> list[str]:
    return path[1:].split("/")


def test_the_longest_prefix_wins() -> None:
    root, mounts = mounted("/api/kernels", "/api/kernels/*/channels", "/files", exact=("/api", "/"))
    for path, prefix in {
        "/": "/",
        "/api": "/api",
        "/api/kernels": "/api/kernels",
        "/api/kernels/1": "/api/kernels",
        "/api/kernels/1/interrupt": "/api/kernels",
        "/api/kernels/1/channels": "/api/kernels/*/channels",
        "/api/kernels/1/channels/more": "/api/kernels/*/channels",
        "/files/a/b": "/files",
    }.items():
        assert root.find(segments(path)) is mounts[prefix], path
    assert root.find(segments("/api/unknown")) is None
    assert root.find(segments("/filesx")) is None


def test_a_prefix_is_mounted_once() -> None:
    root, _ = mounted("/api")
    with pytest.raises(ValueError, match="mounted"):
        root.mount("/api/", Resource, auth="x")


def test_base_url_is_stripped_segment_by_segment() -> None:
    root = Root("/user/x/")
    assert root.below_base(["user", "x", "api"]) == ["api"]
    assert root.below_base(["user", "xy", "api"]) is None
    assert root.below_base(["api"]) is None


@given(st.lists(st.text(alphabet="ab*/%.", max_size=4), max_size=6))
def test_what_is_found_is_a_prefix_of_the_path(path: list[str]) -> None:
    root, _ = mounted("/a", "/a/*/b", "/a/b")
    mount = root.find(path)
    if mount is not None:
        assert len(mount.prefix) <= len(path)
        assert all(want in ("*", got) for want, got in zip(mount.prefix, path, strict=False))
