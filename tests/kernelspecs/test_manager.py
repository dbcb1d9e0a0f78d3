"""Kernelspecs found, remembered, noticed when they change, and served."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from jupyter_client import kernelspec
from twisted.internet.defer import Deferred

from jupyterd.errors import Failed
from jupyterd.kernelspecs.finder import KernelSpecManager
from jupyterd.kernelspecs.manager import KernelSpecs, NoSuchKernelSpec
from jupyterd.kernelspecs.resource import KernelSpecsResource
from jupyterd.testing.deferreds import at_once, result_of
from jupyterd.testing.http import MemorySite


class Shelf:
    """A directory of kernelspecs, and what is made of it."""

    def __init__(self, path: Path, **traits: Any) -> None:
        self.path = path
        self.client = KernelSpecManager(kernel_dirs=[str(path)], ensure_native_kernel=False, **traits)
        self.specs = KernelSpecs(lambda: self.client, at_once, "/base/")

    def put(self, name: str, **more: Any) -> Path:
        directory = self.path / name
        directory.mkdir(exist_ok=True)
        model = {"argv": ["x", "{connection_file}"], "display_name": name.upper(), "language": "x", **more}
        (directory / "kernel.json").write_text(json.dumps(model))
        return directory

    def models(self) -> dict[str, Any]:
        return result_of(Deferred.fromCoroutine(self.specs.models()))

    def model(self, name: str) -> dict[str, Any]:
        return result_of(Deferred.fromCoroutine(self.specs.model(name)))

    def site(self) -> MemorySite:
        site = MemorySite()
        resource = KernelSpecsResource(self.specs, lambda: "a")
        site.root.mount("/api/kernelspecs", resource.app.resource, auth="kernelspecs")
        site.root.mount("/kernelspecs", resource.app.resource, auth="kernelspecs", page=True)
        return site


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


def touched(path: Path) -> None:
    """A file system's clock may be too coarse for a test."""
    status = path.stat()
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1_000_000))


def test_the_model_is_the_reference_s(shelf: Shelf) -> None:
    directory = shelf.put("a")
    (directory / "logo-64x64.png").write_bytes(b"\x89PNG")
    (directory / "kernel.js").write_text("")
    model = shelf.model("a")
    assert shelf.models() == {"a": model}
    model["spec"].pop("kernel_protocol_version", None)  # newer jupyter_clients have it
    assert model == {
        "name": "a",
        "spec": {
            "argv": ["x", "{connection_file}"],
            "env": {},
            "display_name": "A",
            "language": "x",
            "interrupt_mode": "signal",
            "metadata": {},
        },
        "resources": {"kernel.js": "/base/kernelspecs/a/kernel.js", "logo-64x64": "/base/kernelspecs/a/logo-64x64.png"},
    }


def test_they_are_read_once(shelf: Shelf) -> None:
    shelf.put("a")
    shelf.models()
    shelf.client.get_all_specs = lambda: pytest.fail("read again")  # type: ignore[method-assign]
    assert list(shelf.models()) == ["a"]


def test_a_new_an_edited_and_a_removed_one_are_noticed(shelf: Shelf) -> None:
    shelf.put("a")
    assert list(shelf.models()) == ["a"]
    shelf.put("b")
    assert sorted(shelf.models()) == ["a", "b"]
    shelf.put("b", display_name="other")
    touched(shelf.path / "b" / "kernel.json")
    assert shelf.model("b")["spec"]["display_name"] == "other"
    assert shelf.models()["b"]["spec"]["display_name"] == "other"
    (shelf.path / "a" / "kernel.json").unlink()
    assert list(shelf.models()) == ["b"]


def test_a_new_logo_is_noticed(shelf: Shelf) -> None:
    directory = shelf.put("a")
    shelf.models()
    (directory / "logo-svg.svg").write_text("<svg/>")
    touched(directory)
    assert shelf.models()["a"]["resources"] == {"logo-svg": "/base/kernelspecs/a/logo-svg.svg"}


def test_a_broken_one_does_not_hide_the_others(shelf: Shelf) -> None:
    shelf.put("a")
    (shelf.put("b") / "kernel.json").write_text("{nope")
    assert list(shelf.models()) == ["a"]
    with pytest.raises(Failed, match="b can not be read"):
        shelf.model("b")


def test_one_of_any_content_does_not_hide_the_others(shelf: Shelf) -> None:
    shelf.put("a")
    (shelf.path / "b").mkdir()
    site = shelf.site()
    whole: dict[str, Any] = {
        "argv": ["x"], "display_name": "B", "language": "x", "env": {"A": "b"}, "metadata": {"a": 1.5},
        "interrupt_mode": "signal",
    }  # fmt: skip
    kinds = (None, 3, "x", [], {}, [1], {"a": 1}, float("nan"), "\ud800")
    texts = [json.dumps({**whole, key: kind}) for key in whole for kind in kinds]
    for text in (*texts, *map(json.dumps, kinds), "", "{", "[" * 5000, "\ufeff{}"):
        (shelf.path / "b" / "kernel.json").write_text(text)
        touched(shelf.path / "b" / "kernel.json")
        shelf.specs._fingerprint = None
        answer = site.request("GET", "/api/kernelspecs")
        assert answer.status == 200, text
        assert "a" in json.loads(answer.body, parse_constant=pytest.fail)["kernelspecs"], text
        assert site.request("GET", "/api/kernelspecs/b").status in (200, 404, 500)


@pytest.mark.parametrize("name", ["nope", "", "a/../a", "../a", "a\0"])
def test_unknown_names_are_named(shelf: Shelf, name: str) -> None:
    shelf.put("a")
    with pytest.raises(NoSuchKernelSpec) as error:
        shelf.model(name)
    assert error.value.message == f"Kernel spec {name} not found"


def test_names_are_found_as_people_write_them(shelf: Shelf) -> None:
    shelf.put("Sample 2")
    assert shelf.model("sAmple 2")["name"] == "sAmple 2"
    answer = shelf.site().request("GET", "/api/kernelspecs/sample%202")
    assert (answer.status, answer.json()["spec"]["display_name"]) == (200, "SAMPLE 2")


def test_only_the_allowed_ones_exist(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, allowed_kernelspecs={"a"})
    shelf.put("a")
    shelf.put("b")
    assert list(shelf.models()) == ["a"]
    with pytest.raises(NoSuchKernelSpec):
        shelf.model("b")


def test_the_native_kernel_is_there_unless_unwanted(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    assert shelf.models() == {}
    shelf.client.ensure_native_kernel = True
    assert list(shelf.models()) == ["python3"]


class Operators(kernelspec.KernelSpecManager):
    """A class of an operator's: no files behind it, models of its own."""

    def get_all_specs(self) -> dict[str, Any]:
        return {"r": {"name": "r", "spec": {"argv": []}, "resources": {}}}

    def get_kernel_spec(self, name: str) -> Any:
        if name != "r":
            raise KeyError(name)
        return self.get_all_specs()["r"]


def test_a_class_of_the_operator_s_is_asked_each_time(shelf: Shelf) -> None:
    specs = KernelSpecs(Operators, at_once)
    assert result_of(Deferred.fromCoroutine(specs.models())) == Operators().get_all_specs()
    assert result_of(Deferred.fromCoroutine(specs.model("r")))["name"] == "r"
    with pytest.raises(NoSuchKernelSpec):
        result_of(Deferred.fromCoroutine(specs.model("q")))


def test_over_http(shelf: Shelf) -> None:
    shelf.put("a")
    site = shelf.site()
    assert site.request("GET", "/api/kernelspecs").json() == {"default": "a", "kernelspecs": shelf.models()}
    assert site.request("GET", "/api/kernelspecs/a").json() == shelf.model("a")
    missing = site.request("GET", "/api/kernelspecs/nope")
    assert (missing.status, missing.json()) == (404, {"message": "Kernel spec nope not found", "reason": None})
    assert site.request("POST", "/api/kernelspecs", json_body={}).status == 405


def test_logos_are_cached_for_a_month(shelf: Shelf) -> None:
    directory = shelf.put("a")
    (directory / "logo-64x64.png").write_bytes(b"\x89PNG")
    (directory / "kernel.js").write_text("1")
    site = shelf.site()
    answer = site.request("GET", "/kernelspecs/a/logo-64x64.png")
    assert (answer.status, answer.body, answer.header("content-type")) == (200, b"\x89PNG", "image/png")
    assert answer.header("cache-control") == "max-age=2592000"
    again = site.request("GET", "/kernelspecs/a/logo-64x64.png", headers={"If-None-Match": answer.header("etag") or ""})
    assert again.status == 304
    assert site.request("GET", "/kernelspecs/a/kernel.js").header("cache-control") is None


@pytest.mark.parametrize(
    "path", ["a/nope.png", "nope/x.png", "a/..%2f..%2fsecret", "a/%2e%2e/b", "a/out", "a/", "a", "a//kernel.json"]
)
def test_nothing_else_is_served(shelf: Shelf, tmp_path: Path, path: str) -> None:
    directory = shelf.put("a")
    secret = tmp_path.parent / "secret"
    secret.write_text("secret")
    (directory / "out").symlink_to(secret)
    answer = shelf.site().request("GET", f"/kernelspecs/{path}")
    assert answer.status in (403, 404)
    assert b"secret" not in answer.body
