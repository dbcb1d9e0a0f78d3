"""The extension manager and the builder: what their child processes are asked, what becomes of the answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from jupyterd.errors import Failed, Invalid
from jupyterd.frontends.lab.extension_manager import Builder, ExtensionManager, NoBuild, has_source_extensions
from jupyterd.testing.deferreds import result_of
from tests.frontends.conftest import write
from tests.memory_children import ChildReactor

APP = {"app_dir": "/app", "labextensions_path": ["/ext"]}


def run(coroutine: Any) -> Any:
    return Deferred.fromCoroutine(coroutine)


def answered(answer: bytes) -> tuple[ChildReactor, ExtensionManager]:
    reactor = ChildReactor()
    reactor.reply = lambda child: child.answer(answer)
    policy = {"blocked_extensions_uris": ["https://x"]}
    return reactor, ExtensionManager(reactor, "pypi", APP, policy, {"PyPIExtensionManager": {"base_url": "https://y"}})


def test_extensions_are_listed_by_jupyterlab() -> None:
    reactor, manager = answered(b'{"extensions": [{"name": "x"}], "last_page": 3}')
    assert result_of(run(manager.list("query", 2, 30))) == ([{"name": "x"}], 3)
    asked = json.loads(reactor.children[0].input)
    assert asked == {
        "do": "list",
        "provider": "pypi",
        "app": APP,
        "policy": {"blocked_extensions_uris": ["https://x"]},
        "config": {"PyPIExtensionManager": {"base_url": "https://y"}},
        "query": "query",
        "page": 2,
        "per_page": 30,
    }
    assert reactor.children[0].command[-1] == "jupyterd.frontends.lab.child"


@pytest.mark.parametrize("result", [None, {"status": "ok", "message": None, "needs_restart": ["frontend"]}])
def test_extensions_are_installed_where_policy_allows_it(result: Any) -> None:
    _, manager = answered(json.dumps({"result": result}).encode())
    assert result_of(run(manager.act("install", "x", "1.0"))) == result


def test_a_manager_that_fails_is_told_in_one_line() -> None:
    reactor, manager = answered(b"")
    reactor.reply = lambda child: child.fail(b"Traceback\nKeyError: 'pypi'\n")
    with pytest.raises(Failed, match="The extension manager failed: KeyError: 'pypi'"):
        result_of(run(manager.metadata()))


# -- builds


def test_a_build_is_needed_only_where_there_are_sources() -> None:
    reactor = ChildReactor()
    reactor.reply = lambda child: child.answer(b'["x needs to be included in build"]')
    stable = {"status": "stable", "message": ""}
    assert result_of(run(Builder(reactor, APP).status(False))) == stable
    assert result_of(run(Builder(reactor, APP, core=True).status(True))) == stable
    assert reactor.children == []
    needed = result_of(run(Builder(reactor, APP).status(True)))
    assert needed == {"status": "needed", "message": "x needs to be included in build"}
    reactor.reply = lambda child: child.fail(b"no nodejs")
    assert result_of(run(Builder(reactor, APP).status(True))) == stable


def test_two_clients_wait_for_one_build() -> None:
    reactor = ChildReactor()
    builder = Builder(reactor, APP)
    one, two = run(builder.build()), run(builder.build())
    assert result_of(run(builder.status(True))) == {"status": "building", "message": ""}
    assert len(reactor.children) == 1
    reactor.children[0].answer(b"{}")
    assert (result_of(one), result_of(two)) == (None, None)
    assert result_of(run(builder.status(False))) == {"status": "stable", "message": ""}


def test_a_build_that_fails() -> None:
    reactor = ChildReactor()
    builder = Builder(reactor, APP)
    build = run(builder.build())
    reactor.children[0].fail(b"webpack: out of memory\n")
    with pytest.raises(Failed, match="out of memory"):
        result_of(build)
    run(builder.build())
    assert len(reactor.children) == 2


def test_a_build_is_cancelled() -> None:
    reactor = ChildReactor()
    builder = Builder(reactor, APP)
    with pytest.raises(NoBuild):
        builder.cancel()
    build = run(builder.build())
    builder.cancel()
    assert reactor.children[0].killed
    with pytest.raises(Invalid, match="Build canceled"):
        result_of(build)


def test_what_counts_as_a_source_extension(tmp_path: Path) -> None:
    assert not has_source_extensions(str(tmp_path))
    write(tmp_path / "settings" / "build_config.json", {"linked_packages": {}})
    assert not has_source_extensions(str(tmp_path))
    write(tmp_path / "settings" / "build_config.json", {"linked_packages": {"x": "/x"}})
    assert has_source_extensions(str(tmp_path))
    write(tmp_path / "settings" / "build_config.json", "{}")
    write(tmp_path / "extensions" / "x.tgz", "")
    assert has_source_extensions(str(tmp_path))
