"""Runs in a child process: one call of JupyterLab's extension manager or builder, told and answered in JSON."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import sys
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

    app = request["app"]
    options = AppOptions(app_dir=app["app_dir"], labextensions_path=app["labextensions_path"])
    if request["do"] == "build_check":
        return list(build_check(app_options=options))
    if request["do"] == "build":
        build(app_options=options)
        return {}
    return await _managed(request, _manager(request, options))


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
