"""Runs in a child process: one call of JupyterLab's extension manager or builder, told and answered in JSON."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import sys
from collections.abc import Iterator
from glob import iglob
from typing import Any


def main() -> None:
    """Read a request from standard input, write its answer to standard output."""
    if hasattr(os, "setpgrp"):
        os.setpgrp()  # so that the daemon can end us with all that we start
    request = json.load(sys.stdin)
    out, sys.stdout = sys.stdout, sys.stderr  # what libraries print is not the answer
    json.dump(asyncio.run(answer(request)), out)


async def answer(request: dict[str, Any]) -> Any:
    """Do what is asked."""
    from jupyterlab.commands import AppOptions, build, build_check

    left_out = leave_out_broken_packages()
    app = request["app"]
    options = AppOptions(app_dir=app["app_dir"], labextensions_path=app["labextensions_path"])
    if request["do"] == "build_check":
        return list(build_check(app_options=options))
    if request["do"] == "build":
        build(app_options=options)
        return {}
    return {**await _managed(request, _manager(request, options)), "left_out": left_out}


def leave_out_broken_packages() -> dict[str, str]:
    """Have JupyterLab pass over extensions whose files are broken; else one of them takes the list of all away.

    :returns: files and what is wrong with each, filled while JupyterLab looks for extensions.
    """
    from jupyterlab_server import config

    found: dict[str, str] = {}

    def usable(pattern: str) -> Iterator[str]:
        for path in iglob(pattern):
            wrong = _wrong_with(path)
            if wrong is None:
                yield path
            else:
                found[path] = wrong

    config.iglob = usable  # type: ignore[attr-defined, assignment]  # package.json files are found by it
    return found


def _wrong_with(path: str) -> str | None:
    """Why JupyterLab could not read the extension of a ``package.json``; None where it can."""
    try:
        with open(path, encoding="utf-8") as file:
            package = json.load(file)
        install = os.path.join(os.path.dirname(path), "install.json")
        if os.path.exists(install):
            with open(install, encoding="utf-8") as file:
                json.load(file)
    except (OSError, ValueError, RecursionError) as error:
        return str(error)
    if not isinstance(package, dict) or not all(isinstance(package.get(key), str) for key in ("name", "version")):
        return "it has no name or no version"
    objects = [package.get(key, {}) for key in ("jupyterlab", "dependencies", "repository")]
    if isinstance(objects[-1], str) and "url" not in objects[-1]:
        del objects[-1]  # that is how it may be written, too
    if not all(isinstance(value, dict) for value in objects):
        return "jupyterlab, dependencies or repository is no object"
    versions = objects[1].values()
    return None if all(isinstance(version, str) for version in versions) else "a dependency's version is no text"


def _manager(request: dict[str, Any], options: Any) -> Any:
    from jupyterlab.extensions import MANAGERS
    from traitlets.config import Config, Configurable

    factory = MANAGERS[request["provider"]].load()
    return factory(options, _policy(request["policy"]), Configurable(config=Config(request["config"])))


def _policy(policy: dict[str, Any]) -> dict[str, Any]:
    """As the manager wants it: addresses are sets."""
    return {key: set(value) if key.endswith("_uris") else value for key, value in policy.items()}


async def _managed(request: dict[str, Any], manager: Any) -> Any:
    do = request["do"]
    if do == "metadata":
        return dataclasses.asdict(manager.metadata)
    if do == "list":
        found, last = await manager.list_extensions(request["query"], request["page"], request["per_page"])
        return {"extensions": [dataclasses.asdict(each) for each in found], "last_page": last}
    name, version = request["name"], request["version"]
    if do == "install":
        allowed = await manager.is_install_allowed(name, version)
        result = await manager.install(name, version) if allowed else None
    else:
        allowed = await manager.is_uninstall_allowed(name)
        result = await manager.uninstall(name) if allowed else None
    return {"result": None if result is None else dataclasses.asdict(result)}


if __name__ == "__main__":
    main()
