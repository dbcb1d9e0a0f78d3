"""Which requests are an extension's."""

from __future__ import annotations

import pytest

from jupyterd.extensions.routes import Route, Routes


def find(routes: Routes, path: str) -> str | None:
    found = routes.find(path, path.strip("/").split("/"))
    return None if found is None else found.extension


def test_the_first_pattern_that_matches_the_whole_path_wins() -> None:
    routes = Routes([Route(r"/git/(?P<path>.*)/status", extension="a"), Route(r"/git/(?P<path>.*)", extension="b")])
    assert find(routes, "/git/x/status") == "a"
    assert find(routes, "/git/x/status/y") == "b"
    assert find(routes, "/api/kernels") is None


@pytest.mark.parametrize("pattern", [r"/(.*)", r".*", r"(.*)", r"/(?P<path>.*)", r"/.*/", "/[^/]+"])
def test_a_pattern_that_matches_everything_is_refused(pattern: str) -> None:
    routes = Routes([Route(pattern), Route("/fine", extension="x")])
    assert [why for _, why in routes.refused] == ["it matches everything"]
    assert find(routes, "/fine") == "x"
    assert find(routes, "/other") is None


@pytest.mark.parametrize(
    "pattern", ["/login", "/logout", "/api/me", "/api/contents(.*)", "/api/.*", "/api/(shutdown|x)", "/log.*"]
)
def test_what_is_the_servers_own_can_not_be_taken(pattern: str) -> None:
    routes = Routes([Route(pattern)])
    assert len(routes) == 0
    assert "can not be taken" in routes.refused[0][1]


def test_nor_by_a_pattern_for_something_below() -> None:
    routes = Routes([Route("/api/contents/(.*)/mine")])
    assert find(routes, "/api/contents/a/mine") is None
    assert routes.find("/api/%63ontents/a/mine", ["api", "contents", "a", "mine"]) is None


def test_a_kernels_own_sub_paths_can_be_taken() -> None:
    routes = Routes([Route(r"/api/kernels/(?P<kernel_id>\w+-\w+)/execute", extension="nbmodel")])
    assert find(routes, "/api/kernels/a-b/execute") == "nbmodel"
    assert find(routes, "/api/kernels/a-b/channels") is None


def test_below_a_base_url() -> None:
    routes = Routes([Route("/user/me/lsp/status", extension="lsp"), Route("/user/me/(.*)")], "/user/me/")
    assert routes.find("/user/me/lsp/status", ["lsp", "status"]) is not None
    assert len(routes.refused) == 1


@pytest.mark.parametrize("pattern", [r"/x/(a)\1", r"/x/(?P<n>a)(?P=n)", r"(?i)/X/aa"])
def test_patterns_that_can_not_be_joined_are_tried_each(pattern: str) -> None:
    routes = Routes([Route("/other", extension="o"), Route(pattern, extension="x")])
    assert find(routes, "/x/aa") == "x"
    assert find(routes, "/x/ab") is None
    assert find(routes, "/other") == "o"


def test_what_is_no_pattern_is_refused() -> None:
    routes = Routes([Route("/x/(")])
    assert "no regular expression" in routes.refused[0][1]


def test_the_same_name_of_a_group_in_two_patterns() -> None:
    routes = Routes([Route("/a/(?P<n>.*)", extension="a"), Route("/b/(?P<n>.*)", extension="b")])
    assert find(routes, "/b/1") == "b"
