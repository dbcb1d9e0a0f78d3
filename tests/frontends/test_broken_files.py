"""Files of others that are not what they should be: one of them is left out, told of, and takes nothing else along."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.frontends.conftest import THEMES, Serve, page_config, write

pytestmark = pytest.mark.lab

KINDS: tuple[Any, ...] = (None, 3, "x", [1], {"a": 1})
RAW = (b"", b"{", b"\xff\xfe", b"null", b'"x"', b"[1]", b"[" * 5_000, b'{"name": NaN}')
LABCONFIG = "config/labconfig"
PLACES = {
    "ext/@bad/one/package.json": {
        "name": "@bad/one",
        "version": "1.0.0",
        "jupyterlab": {
            "_build": {"load": "static/x.js", "extension": "./e", "style": "./s"},
            "disabledExtensions": ["@some/thing"],
        },
    },
    "ext/@bad/one/schemas/@bad/one/main.json": {
        "title": "T",
        "properties": {"a": {"type": "string", "default": "b"}},
        "jupyter.lab.internationalization": {"domain": "d", "selectors": ["x"]},
    },
    "ext/@bad/one/schemas/@bad/one/package.json.orig": {"version": "1"},
    "ext/@bad/one/static/third-party-licenses.json": {
        "packages": [{"name": "n", "versionInfo": "1", "licenseId": "MIT", "extractedText": "text"}]
    },
    "app/settings/overrides.json": {THEMES: {"theme": "Dark"}},
    "app/settings/page_config.json": {"disabledExtensions": ["a"], "deferredExtensions": ["b"]},
    "app/static/package.json": {
        "jupyterlab": {"version": "4", "extensionMetadata": {"x": {"disabledExtensions": ["y"]}}}
    },
    f"{LABCONFIG}/default_setting_overrides.json": {THEMES: {"overrides": {"a": 2}}},
    f"{LABCONFIG}/page_config.json": {"disabledExtensions": {"a": True}, "lockedExtensions": {"b": True}},
    f"{LABCONFIG}/page_config.d/one.json": {"disabledExtensions": {"a": False}},
    "config/lab/user-settings/@jupyterlab/apputils-extension/themes.jupyterlab-settings": {"theme": "Light"},
    "config/lab/workspaces/w-1234.jupyterlab-workspace": {"data": {"a": 1}, "metadata": {"id": "w"}},
}  # fmt: skip
"""Files of extensions, operators and users, by their place, each as it should be."""
LICENSES = tuple(f"/lab/api/licenses?format={form}" for form in ("json", "csv", "markdown"))
SETTINGS = ("/lab/api/settings", "/lab/api/settings?ids_only=true", "/lab/api/translations")
PAGES = ("/lab", "/tree", "/lab/api/plugins", "/lab/api/build")
READ_BY = {
    "package.json": (*PAGES, *LICENSES, "/lab/api/settings"),
    "third-party-licenses.json": LICENSES,
    "one.json": PAGES,
    "page_config.json": PAGES,
    "w-1234.jupyterlab-workspace": ("/lab/api/workspaces",),
}
"""What reads files of a name; all others are read for the settings."""


def broken(value: Any) -> Iterator[Any]:
    """The value with each part of it, and all of it, of every other kind."""
    yield from (kind for kind in KINDS if type(kind) is not type(value))
    if isinstance(value, dict):
        for key, inner in value.items():
            yield {name: item for name, item in value.items() if name != key}
            yield from ({**value, key: other} for other in broken(inner))
    elif isinstance(value, list):
        yield from ([other] for other in broken(value[0]))


@pytest.mark.parametrize("place", sorted(PLACES))
def test_one_file_of_others_that_is_broken(serve: Serve, home: Path, place: str) -> None:
    path = home / place
    contents = [*RAW, *(json.dumps(value).encode() for value in broken(PLACES[place]))]
    site = serve()
    for content in contents:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        for url in READ_BY.get(path.name, SETTINGS):
            answer = site.request("GET", url)
            assert answer.status == 200, (content[:300], url, answer.body[-300:])
            if url == "/lab/api/settings":
                assert {"@org/thing:main", THEMES} <= {each["id"] for each in answer.json()["settings"]}, content
            if url == "/lab":
                extensions = page_config(answer.body)["federated_extensions"]
                assert "@org/thing" in {each["name"] for each in extensions}, content


@pytest.mark.parametrize("place", sorted(PLACES))
def test_a_directory_in_its_place_and_a_file_that_can_not_be_read(serve: Serve, home: Path, place: str) -> None:
    site = serve()
    path = home / place
    path.unlink(missing_ok=True)
    path.mkdir(parents=True)
    for url in READ_BY.get(path.name, SETTINGS):
        assert site.request("GET", url).status == 200, url
    path.rmdir()
    path.symlink_to(path)
    for url in READ_BY.get(path.name, SETTINGS):
        assert site.request("GET", url).status == 200, url


def test_an_extension_that_is_left_out_is_named(serve: Serve, home: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(home / "ext" / "@bad" / "one" / "package.json", "{")
    from twisted.logger import globalLogPublisher

    events: list[Any] = []
    globalLogPublisher.addObserver(events.append)
    try:
        assert serve().request("GET", "/lab").status == 200
    finally:
        globalLogPublisher.removeObserver(events.append)
    assert any("@bad/one/package.json" in str(event.get("path")) for event in events)
