"""The Python API of the Jupyter Server 2.7, name by name: each is here, with its parameters and a word about it."""

from __future__ import annotations

import inspect
import json
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

NAMES: dict[str, list[str] | None] = json.loads((Path(__file__).parent / "seed_names.json").read_text())
"""Public names of the modules that its documentation has, and the parameters of what is called."""


def found(name: str) -> Any:
    module, *rest = name.split(".")
    thing: Any = import_module(f"jupyterd.{module}")
    for part in rest:
        thing = getattr(thing, part)
    return thing


@pytest.mark.parametrize("name", sorted(NAMES))
def test_a_name_of_the_reference(name: str) -> None:
    thing, parameters = found(name), NAMES[name]
    if parameters is None:
        return
    assert callable(thing)
    own = [parameter for parameter in inspect.signature(thing).parameters if parameter != "self"]
    assert own[: len(parameters)] == parameters
    assert inspect.iscoroutinefunction(thing) == (name.rpartition(".")[2] in COROUTINES)
    assert inspect.getdoc(thing)


COROUTINES = {"cleanup_extensions", "cleanup_kernels", "async_fetch", "run_sync_in_loop"}


def test_the_settings_of_the_reference_are_settings() -> None:
    """All traits of its ``ServerApp``; those that are not are attributes, which the walk above has found."""
    from jupyterd.serverapp import ServerApp

    settings = set(ServerApp.class_trait_names(config=True))
    names = {name.removeprefix("serverapp.ServerApp.") for name in NAMES if name.startswith("serverapp.ServerApp.")}
    assert {"ip", "port", "token", "contents_manager_class", "tornado_settings", "websocket_url"} <= settings & names
