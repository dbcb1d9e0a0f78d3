"""The small tools: URLs, paths, versions, processes."""

from __future__ import annotations

import os
import socket
import string
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_twisted import ensureDeferred

from jupyterd import utils
from jupyterd.utils import ApiPath

NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1).filter(
    lambda name: name not in (".", "..")
)
SLASHES = st.sampled_from(["", "/", "//"])
PIECES = st.lists(st.tuples(SLASHES, st.text(string.ascii_letters), SLASHES).map("".join), min_size=1, max_size=5)


@given(PIECES)
def test_joined_urls_have_single_slashes(pieces: list[str]) -> None:
    joined = utils.url_path_join(*pieces)
    assert "//" not in joined
    assert [part for part in joined.split("/") if part] == [
        part for piece in pieces for part in piece.split("/") if part
    ]


@pytest.mark.parametrize(
    ("pieces", "joined"),
    [
        (("a", "b"), "a/b"),
        (("/a/", "/b/"), "/a/b/"),
        (("/", "/"), "/"),
        (("/", ""), "/"),
        (("", "a"), "a"),
        (("http://host/", "/api", ""), "http://host/api"),
        (("",), ""),
    ],
)
def test_the_first_and_last_slash_stay(pieces: tuple[str, ...], joined: str) -> None:
    assert utils.url_path_join(*pieces) == joined


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_escaping_is_undone_by_unescaping(path: str) -> None:
    escaped = utils.url_escape(path)
    assert utils.url_unescape(escaped) == path
    assert set(escaped) <= set(string.ascii_letters + string.digits + "/%-_.~")


@given(st.lists(NAMES, max_size=4))
def test_api_and_local_paths_are_each_other_s_opposite(names: list[str]) -> None:
    api = ApiPath("/".join(names))
    assert utils.to_api_path(utils.to_os_path(api, "/root"), "/root") == api
    assert utils.to_os_path(ApiPath(f"/{api}//"), "/root") == utils.to_os_path(api, "/root")


@given(st.lists(NAMES, min_size=1, max_size=4))
def test_paths_and_urls_are_each_other_s_opposite(names: list[str]) -> None:
    path = os.path.join(*names)
    assert utils.url2path(utils.path2url(path)) == path
    assert unquote(utils.path2url(path)) == path


def test_path2url_keeps_the_last_slash() -> None:
    assert utils.path2url("a b/c/") == "a%20b/c/"


def test_url_is_absolute() -> None:
    assert utils.url_is_absolute("/a")
    assert utils.url_is_absolute("http://h/a")
    assert not utils.url_is_absolute("a/b")


@given(st.text(string.ascii_letters + "/%2F-_", min_size=1))
def test_socket_paths_survive_as_hosts(path: str) -> None:
    encoded = utils.urlencode_unix_socket_path(path)
    assert "/" not in encoded
    if "%2F" not in path:
        assert utils.urldecode_unix_socket_path(encoded) == path
    assert utils.urlencode_unix_socket(path) == f"http+unix://{encoded}"


@pytest.mark.parametrize(
    ("pattern", "origin", "matches"),
    [
        (r"https://.*\.example\.com", "https://a.example.com", True),
        (r"https://a\.example", "https://a.example.evil.com", False),
        (r"https://a\.example", "https://a.example\n", False),
        ("", "https://a.example", False),
    ],
)
@pytest.mark.filterwarnings("ignore:allow_origin_pat")
def test_a_pattern_matches_a_whole_origin(pattern: str, origin: str, matches: bool) -> None:
    assert utils.origin_matches_pat(pattern, origin) is matches


def test_a_pattern_of_the_beginning_is_warned_of() -> None:
    with pytest.warns(UserWarning, match="beginning of the origin"):
        utils.origin_matches_pat("http://a", "http://ab")


def test_expand_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOO", "test")
    monkeypatch.setenv("HOME", "/home/x")
    assert utils.expand_path("~/$FOO/${FOO}") == "/home/x/test/test"


def test_filefind(tmp_path: Path) -> None:
    for name in ("a", "ab"):
        (tmp_path / name).mkdir()
    (tmp_path / "ab" / "secret").touch()
    (tmp_path / "a" / "file").touch()
    found = utils.filefind("file", [str(tmp_path / "ab"), str(tmp_path / "a")])
    assert found == str(tmp_path / "a" / "file")
    for hostile in ("../ab/secret", str(tmp_path / "ab" / "secret"), "none", "..", ""):
        with pytest.raises(OSError):
            utils.filefind(hostile, [str(tmp_path / "a")])


def test_check_version() -> None:
    assert utils.check_version("1.10", "1.9")
    assert not utils.check_version("1.9", "1.10")
    assert utils.check_version("nonsense", "1")


def test_import_item() -> None:
    assert utils.import_item("os.path.join") is os.path.join
    assert utils.import_item("os") is os
    assert utils.import_item("xml.dom") is sys.modules["xml.dom"]
    for missing in ("os.nothing", "no_such_module.x", "no_such_module"):
        with pytest.raises(ImportError):
            utils.import_item(missing)


def test_is_namespace_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bare_namespace").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    assert utils.is_namespace_package("bare_namespace") is True
    assert utils.is_namespace_package("json") is False
    assert utils.is_namespace_package("no_such_module") is None


def test_check_pid() -> None:
    assert utils.check_pid(os.getpid())
    assert utils.check_pid(1), "somebody else's counts"
    assert not utils.check_pid(2**22 + 1)


def test_samefile_simple(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.touch()
    two.touch()
    assert utils.samefile_simple(str(one), str(one))
    assert not utils.samefile_simple(str(one), str(two))


def test_unix_socket_in_use(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    assert not utils.unix_socket_in_use(path)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()
        assert utils.unix_socket_in_use(path)
    assert not utils.unix_socket_in_use(path), "what a dead server has left"


@ensureDeferred
async def test_ensure_async() -> None:
    async def later() -> int:
        return 3

    assert await utils.ensure_async(later()) == 3
    assert await utils.ensure_async(3) == 3
    with pytest.warns(DeprecationWarning, match="ensure_async"):
        assert await utils.run_sync_in_loop(3) == 3


def test_translations_fall_back_to_english() -> None:
    from jupyterd.transutils import _, _i18n, trans

    assert _i18n("Kernel") == "Kernel"
    assert trans.ngettext("%d kernel", "%d kernels", 2) == "%d kernels"
    with pytest.warns(FutureWarning):
        assert _("Kernel") == "Kernel"
