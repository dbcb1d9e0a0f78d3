"""Kernels of others, by their connection files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from jupyterd.errors import Failed
from jupyterd.kernels.process.external import ExternalKernels
from jupyterd.testing.deferreds import at_once, result_of
from tests.kernels.keeping import Keeping

INFO = {"kernel_name": "theirs", "key": "k", "transport": "tcp", "ip": "127.0.0.1", "shell_port": 1}


@pytest.fixture
def keeping(tmp_path: Path) -> Keeping:
    return Keeping(external_dir=str(tmp_path))


def listed(keeping: Keeping) -> list[dict[str, Any]]:
    return result_of(Deferred.fromCoroutine(keeping.kernels.list_models()))


def test_a_connection_file_is_a_kernel(keeping: Keeping, tmp_path: Path) -> None:
    assert listed(keeping) == []
    (tmp_path / "k.json").write_text(json.dumps(INFO))
    (model,) = listed(keeping)
    assert (model["name"], model["execution_state"]) == ("theirs", "idle")
    assert listed(keeping) == [model]
    kernel = keeping.kernels[model["id"]]
    assert keeping.channels(kernel).connected == {**INFO, "key": b"k"}


def test_it_goes_with_its_file(keeping: Keeping, tmp_path: Path) -> None:
    file = tmp_path / "k.json"
    file.write_text(json.dumps(INFO))
    (model,) = listed(keeping)
    kernel = keeping.kernels[model["id"]]
    file.unlink()
    assert listed(keeping) == []
    assert keeping.channels(kernel).closed is not None


def test_it_is_interrupted_by_message_let_go_and_never_restarted(keeping: Keeping, tmp_path: Path) -> None:
    (tmp_path / "k.json").write_text(json.dumps(INFO))
    (model,) = listed(keeping)
    kernel = keeping.kernels[model["id"]]
    keeping.do(keeping.kernels.interrupt(kernel.id))
    assert keeping.channels(kernel).asked == [("control", "interrupt_request", {})]
    with pytest.raises(Failed, match="can not be restarted"):
        keeping.do(keeping.kernels.restart(kernel.id))
    assert kernel.execution_state == "idle"
    keeping.do(keeping.kernels.shutdown(kernel.id))
    assert listed(keeping) == []


@pytest.mark.parametrize("text", ["", "{", "[]", "5", "{}", '{"kernel_name": "x"}', '{"key": "x"}', "\ud800"])
def test_other_files_are_passed_over(keeping: Keeping, tmp_path: Path, text: str) -> None:
    (tmp_path / "k.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    (tmp_path / "directory").mkdir()
    assert listed(keeping) == []


def test_a_file_of_nonsense_hides_no_other_kernel_and_is_looked_at_again_when_it_changes(tmp_path: Path) -> None:
    tried: list[str] = []

    def adopt(info: Mapping[str, Any]) -> str:
        tried.append(info["kernel_name"])
        if info["kernel_name"] == "bad":
            raise KeyError("shell_port")
        return str(info["kernel_name"])

    kernels = ExternalKernels(str(tmp_path), at_once, adopt, lambda kernel_id: Deferred())
    (tmp_path / "deep.json").write_text("[" * 100_000)
    (tmp_path / "a.json").write_text(json.dumps({**INFO, "kernel_name": "bad"}))
    (tmp_path / "b.json").write_text(json.dumps(INFO))
    for _ in range(2):
        result_of(Deferred.fromCoroutine(kernels.look()))
    assert sorted(tried) == ["bad", "theirs"]
    (tmp_path / "a.json").write_text(json.dumps({**INFO, "kernel_name": "better"}))
    result_of(Deferred.fromCoroutine(kernels.look()))
    assert tried[-1] == "better"


def test_two_that_look_at_once_let_go_once(tmp_path: Path) -> None:
    gone: list[str] = []
    going: list[Deferred[None]] = []

    def let_go(kernel_id: str) -> Deferred[None]:
        gone.append(kernel_id)
        going.append(Deferred())
        return going[-1]

    kernels = ExternalKernels(str(tmp_path), at_once, lambda info: str(info["kernel_name"]), let_go)
    for name in "ab":
        (tmp_path / name).write_text(json.dumps({**INFO, "kernel_name": name}))
    result_of(Deferred.fromCoroutine(kernels.look()))
    for name in "ab":
        (tmp_path / name).unlink()
    looks = [Deferred.fromCoroutine(kernels.look()) for _ in range(2)]
    while going:
        going.pop(0).callback(None)
    for look in looks:
        result_of(look)
    assert sorted(gone) == ["a", "b"]


def test_a_directory_that_is_not_there_has_none() -> None:
    assert listed(Keeping(external_dir="/no/such/directory")) == []


def test_nobody_looks_where_it_is_not_allowed(tmp_path: Path) -> None:
    (tmp_path / "k.json").write_text(json.dumps(INFO))
    assert listed(Keeping()) == []
