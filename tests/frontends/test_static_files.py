"""Static files: found where they are, never anywhere else, kept by browsers as long as they may be."""

from __future__ import annotations

from pathlib import Path

import pytest

from jupyterd.errors import NotFound
from jupyterd.frontends.lab.themes import relink
from jupyterd.frontends.static_files import FOREVER, find
from tests.frontends.conftest import Serve, write

pytestmark = pytest.mark.lab


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("/static/lab/main.0123456789abcdef.js", FOREVER),
        ("/static/lab/style.js", "no-cache"),
        ("/static/lab/style.js?v=1", FOREVER),
        ("/lab/extensions/@org/thing/static/remoteEntry.0123456789ab.js", FOREVER),
        ("/lab/extensions/@org/thing/static/style.js", "no-cache"),
        ("/lab/extensions/@org/thing/package.json", "no-cache"),
    ],
)
def test_files_with_a_fingerprint_are_kept_for_ever(serve: Serve, path: str, kept: str) -> None:
    answer = serve().request("GET", path)
    assert (answer.status, answer.header("cache-control")) == (200, kept)


def test_the_operator_says_what_never_changes(serve: Serve) -> None:
    site = serve("--ServerApp.static_immutable_cache=/x/static/lab/", base_url="/x/")
    assert site.request("GET", "/x/static/lab/style.js").header("cache-control") == FOREVER
    assert site.request("GET", "/x/lab/extensions/@org/thing/static/style.js").header("cache-control") == "no-cache"


def test_a_theme_that_has_not_changed_is_not_sent_again(serve: Serve) -> None:
    site, path = serve(), "/lab/api/themes/@jupyterlab/light/index.css"
    modified = site.request("GET", path).header("last-modified")
    assert modified is not None
    again = site.request("GET", path, headers={"If-Modified-Since": modified})
    assert (again.status, again.body) == (304, b"")
    assert site.request("GET", path, headers={"If-Modified-Since": "Thu, 01 Jan 1970 00:00:01 GMT"}).status == 200


def test_a_file_that_has_not_changed_is_not_sent_again(serve: Serve) -> None:
    site = serve()
    tag = site.request("GET", "/static/lab/style.js").header("etag")
    assert tag is not None
    assert site.request("GET", "/static/lab/style.js", headers={"If-None-Match": tag}).status == 304


@pytest.mark.parametrize("start", ["/static/lab/", "/lab/extensions/", "/lab/api/themes/"])
@pytest.mark.parametrize(
    "rest", ["", "nope", "../package.json", "%2e%2e/settings", "..%2f..%2froot", "/etc/passwd", "%00", "a//b", "static"]
)
def test_nothing_else_is_served(serve: Serve, home: Path, start: str, rest: str) -> None:
    write(home / "app" / "package.json", "{}")
    assert serve().request("GET", start + rest).status in (400, 404)


def test_the_first_directory_wins(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(tmp_path / name / "x", name)
    write(tmp_path / "b" / "y", "y")
    both = [str(tmp_path / "a"), str(tmp_path / "b")]
    assert find("x", both) == str(tmp_path / "a" / "x")
    assert find("y", both) == str(tmp_path / "b" / "y")
    with pytest.raises(NotFound):
        find("z", both)


def test_developed_extensions_are_links(serve: Serve, home: Path) -> None:
    write(home / "source" / "static" / "x.js", "x")
    (home / "ext" / "linked").symlink_to(home / "source")
    assert serve().request("GET", "/lab/extensions/linked/static/x.js").body == b"x"


def test_links_in_themes_lead_back(serve: Serve) -> None:
    answer = serve(base_url="/x/").request("GET", "/x/lab/api/themes/@jupyterlab/light/index.css")
    assert answer.header("content-type") == "text/css"
    assert answer.body == b"a { background: url('/x/lab/api/themes/@jupyterlab/light/img/x.png'); }"
    assert serve().request("GET", "/lab/api/themes/@jupyterlab/light/img/x.png").body == b"png"
    assert serve().request("GET", "/lab/api/themes/thing/index.css").body == b"b {}"


@pytest.mark.parametrize("link", ["/abs.png", "https://x/y.png", "data:image/png;base64,AA", "#id"])
def test_whole_links_stay(link: str) -> None:
    style = f"url('{link}')".encode()
    assert relink(style, "t/index.css", "/themes") == style


def test_own_style_of_users(serve: Serve, home: Path) -> None:
    site = serve()
    assert site.request("GET", "/custom/custom.css").status == 200
    write(home / "config" / "custom" / "custom.css", "body { color: red }")
    assert site.request("GET", "/custom/custom.css").body == b"body { color: red }"
    assert site.request("GET", "/custom/other.css").status == 404
