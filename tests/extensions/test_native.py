"""Extensions of jupyterd itself."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from twisted.application.service import Service
from twisted.web.resource import Resource

from jupyterd.extensions import native
from jupyterd.extensions.native import BadExtension, Native, NativeExtensions
from jupyterd.web.root import Root


def make(name: str) -> Native:
    nothing: Any = SimpleNamespace()
    return Native(name, "/", nothing, nothing, nothing, lambda: None, lambda: None, lambda: None, lambda: None)


def entry(name: str, does: Any) -> Any:
    return SimpleNamespace(name=name, dist=SimpleNamespace(version="3"), load=lambda: does)


def load(*entries: Any, switched: dict[str, bool] | None = None) -> tuple[NativeExtensions, Root, list[Any]]:
    extensions, root, services = NativeExtensions(make, native.switched_on(switched or {})), Root("/"), []
    root.mount("/taken", Resource, auth="")
    extensions.load(entries, root, services.append)
    return extensions, root, services


def test_what_it_mounts_and_serves() -> None:
    service = Service()

    def does(given: Native) -> None:
        given.mount("/mine", Resource, auth="mine")
        given.serve(service)
        given.page_config["a"] = 1

    extensions, root, services = load(entry("one", does))
    mount = root.find(["mine", "x"])
    assert mount is not None
    assert mount.auth == "mine"
    assert services == [service]
    assert extensions.page_config == {"a": 1}
    assert (extensions.loaded[0].version, extensions.loaded[0].routes, extensions.loaded[0].error) == ("3", 1, "")


@pytest.mark.parametrize("prefix", ["/", "/api/contents/x", "/login", "/api/me"])
def test_what_nobody_may_take(prefix: str) -> None:
    with pytest.raises(BadExtension):
        make("x").mount(prefix, Resource, auth="x")


def test_nothing_is_open_to_strangers() -> None:
    with pytest.raises(BadExtension):
        make("x").mount("/x", Resource, auth="x", public=True)


def test_one_that_fails_leaves_nothing_and_the_others_work() -> None:
    def clashes(given: Native) -> None:
        given.mount("/first", Resource, auth="")
        given.mount("/taken", Resource, auth="")
        given.serve(Service())

    def leaves(given: Native) -> None:
        raise SystemExit(1)

    extensions, root, services = load(
        entry("a", clashes), entry("b", leaves), entry("c", lambda given: given.mount("/c", Resource, auth=""))
    )
    assert root.find(["first"]) is None
    assert root.find(["c"]) is not None
    assert services == []
    assert [bool(each.error) for each in extensions.loaded] == [True, True, False]


def test_one_that_is_switched_off_is_not_loaded() -> None:
    extensions, _, _ = load(entry("a", None), switched={"a": False})
    assert extensions.loaded == []


def test_packages_are_looked_through_by_their_metadata(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native.sys, "path", [str(tmp_path), str(tmp_path / "absent")])
    assert native.find() == []
    info = tmp_path / "p-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: p\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[jupyterd.extensions]\nmine = p:extension\n")
    assert [each.name for each in native.find()] == ["mine"]
