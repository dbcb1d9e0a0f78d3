"""Pages: what they are told, where they lead."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.frontends.conftest import Serve, page_config, write

pytestmark = pytest.mark.lab


def test_a_page_is_told_about_its_server(serve: Serve, home: Path) -> None:
    answer = serve().request("GET", "/lab")
    assert (answer.status, answer.header("content-type")) == (200, "text/html; charset=UTF-8")
    assert answer.header("cache-control") == "no-store", "the token must not stay in a cache"
    told = page_config(answer.body)
    expected = {
        "appName": "JupyterLab",
        "appNamespace": "lab",
        "appUrl": "/lab",
        "appVersion": "4.6.6",
        "baseUrl": "/",
        "buildAvailable": True,
        "disabledExtensions": [],
        "fullSettingsUrl": "/lab/api/settings",
        "fullStaticUrl": "/static/lab",
        "mode": "multiple-document",
        "notebookVersion": "[2,21,1]",
        "preferredPath": "/",
        "serverRoot": str(home / "root"),
        "store_id": 0,
        "terminalsAvailable": True,
        "token": "secret",
        "treePath": "",
        "workspace": "default",
    }
    assert {name: told[name] for name in expected} == expected | {"notebookVersion": told["notebookVersion"]}
    assert told["notebookVersion"] == "[2, 21, 1]"
    assert told["federated_extensions"][:-1] == [
        {
            "name": "@org/thing",
            "load": "static/remoteEntry.0123456789ab.js",
            "extension": "./extension",
            "style": "./style",
            "entrypoints": None,
        }
    ]


def test_each_page_has_its_own_store_id(serve: Serve) -> None:
    site = serve()
    assert [page_config(site.request("GET", "/lab").body)["store_id"] for _ in range(3)] == [0, 1, 2]


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/lab/tree/a%20b/c.ipynb", {"treePath": "a b/c.ipynb", "workspace": "default"}),
        ("/lab/workspaces/auto-1_X", {"treePath": "", "workspace": "auto-1_X"}),
        ("/lab/workspaces/w/tree/x", {"treePath": "x", "workspace": "w"}),
        ("/doc", {"mode": "single-document"}),
        ("/doc/workspaces/w/tree/x", {"mode": "single-document", "workspace": "w", "treePath": "x"}),
        ("/lab/nope", {"notFoundUrl": "/lab/nope", "mode": "multiple-document"}),
        ("/lab/api/nope", None),
        ("/lab?reset&clone", {"workspace": "default"}),
    ],
)
def test_paths_are_told_to_the_page(serve: Serve, path: str, told: dict[str, str] | None) -> None:
    answer = serve().request("GET", path)
    if told is None:
        assert answer.status == 404
        return
    found = page_config(answer.body)
    assert {name: found.get(name) for name in told} == told


def test_a_slash_at_the_end_is_taken_off_and_the_query_kept(serve: Serve) -> None:
    answer = serve(base_url="/x/").request("GET", "/x/lab/tree/a%20b/?token=t")
    assert (answer.status, answer.header("location")) == (301, "/x/lab/tree/a%20b?token=t")


def test_everything_moves_with_the_base_url(serve: Serve) -> None:
    told = page_config(serve(base_url="/user/a%40b/").request("GET", "/user/a%40b/lab").body)
    assert told["baseUrl"] == "/user/a%40b/"
    assert told["fullStaticUrl"] == "/user/a%40b/static/lab"
    assert told["fullThemesUrl"] == "/user/a%40b/lab/api/themes"
    assert told["themesUrl"] == "/lab/api/themes"


def test_names_can_not_leave_the_script(serve: Serve) -> None:
    answer = serve().request("GET", "/lab/tree/%3C/script%3E%3Cscript%3Ealert(1)%3C/script%3E")
    assert b"<script>alert" not in answer.body
    assert page_config(answer.body)["treePath"] == "</script><script>alert(1)</script>"


def test_the_start_leads_to_lab_with_its_query(serve: Serve) -> None:
    answer = serve(base_url="/x/").request("GET", "/x/?token=abc")
    assert (answer.status, answer.header("location")) == (302, "/x/lab?token=abc")
    answer = serve("--ServerApp.default_url=/lab/tree/a", base_url="/x/").request("GET", "/x/")
    assert answer.header("location") == "/x/lab/tree/a"
    answer = serve("--LabApp.default_url=/lab/workspaces/w").request("GET", "/")
    assert answer.header("location") == "/lab/workspaces/w"


def test_who_posts_to_the_start_is_told_that_it_runs(serve: Serve) -> None:
    """``jupyter server stop`` of a socket does so, and gives up at anything but a success."""
    site = serve(base_url="/x/")
    answer = site.request("POST", "/x/")
    assert answer.status == 200
    assert answer.body.startswith(b"jupyterd is running.")
    assert site.request("PUT", "/x/").status == 405


def test_without_a_front_end_the_start_says_so(serve: Serve) -> None:
    off = "--ServerApp.jpserver_extensions="
    site = serve(f"{off}jupyterlab=False", f"{off}notebook=False")
    answer = site.request("GET", "/")
    assert answer.status == 200
    assert b"JupyterLab is not installed" in answer.body
    assert b'href="/jupyterd"' in answer.body
    assert site.request("GET", "/lab").status == 404


def test_settings_of_operators_reach_the_page(serve: Serve, home: Path) -> None:
    write(
        home / "config" / "jupyter_lab_config.py",
        "c.LabApp.expose_app_in_browser = True\nc.LabServerApp.copy_absolute_path = True\nc.LabApp.news_url = None\n",
    )
    site = serve("--ServerApp.quit_button=False", "--LabApp.custom_css=True", "--ServerApp.terminals_enabled=False")
    answer = site.request("GET", "/lab")
    told = page_config(answer.body)
    assert told["exposeAppInBrowser"]
    assert told["copyAbsolutePath"]
    assert told["news"] == {"disabled": True}
    assert not told["quitButton"]
    assert not told["terminalsAvailable"]
    assert answer.body.endswith(b"custom")


def test_page_config_files_disable_and_lock(serve: Serve, home: Path) -> None:
    write(home / "app" / "settings" / "page_config.json", {"disabledExtensions": ["@a/one"], "extra": 1})
    labconfig = home / "config" / "labconfig"
    write(labconfig / "page_config.d" / "site.json", {"disabledExtensions": {"@b/two": True, "@b/three": True}})
    write(
        labconfig / "page_config.json",
        {"disabledExtensions": {"@b/three": False}, "lockedExtensions": {"@c/four": True}, "buildCheck": False},
    )
    told = page_config(serve().request("GET", "/lab").body)
    assert sorted(told["disabledExtensions"]) == ["@a/one", "@b/two"]
    assert told["lockedExtensions"] == ["@c/four"]
    assert told["extra"] == 1
    assert told["buildCheck"] is False


def test_an_extension_may_disable_others_unless_it_is_disabled_itself(serve: Serve, home: Path) -> None:
    package = {"name": "z", "version": "1", "jupyterlab": {"_build": {"load": "l"}, "disabledExtensions": ["@a/one"]}}
    write(home / "ext" / "z" / "package.json", package)
    assert page_config(serve().request("GET", "/lab").body)["disabledExtensions"] == ["@a/one"]
    write(home / "config" / "labconfig" / "page_config.json", {"disabledExtensions": {"z": True}})
    assert page_config(serve().request("GET", "/lab").body)["disabledExtensions"] == ["z"]


def test_missing_assets_are_said_to_be_missing(serve: Serve, home: Path) -> None:
    (home / "app" / "static" / "index.html").unlink()
    answer = serve().request("GET", "/lab")
    assert answer.status == 500
    assert b"not installed" in answer.body


def test_core_mode_has_no_extensions(serve: Serve) -> None:
    told = page_config(serve("--LabApp.core_mode=True").request("GET", "/lab").body)
    assert told["federated_extensions"] == []
    assert not told["buildAvailable"]
    assert "extensionManager" not in told


def test_head_has_no_body(serve: Serve) -> None:
    answer = serve().request("HEAD", "/lab")
    assert (answer.status, answer.body) == (200, b"")
