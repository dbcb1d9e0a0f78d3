"""JupyterLab's extension manager and builder, each call in a child process.

They are JupyterLab's own code, which needs Tornado and the network; the daemon holds none of it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from glob import glob
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from jupyterd.errors import Failed, Invalid, JupyterdError, NotFound
from jupyterd.frontends.json_files import glob_escape, read_object
from jupyterd.system.child_process import ChildFailed, run_module

CHILD = "jupyterd.frontends.lab.child"
LISTING_TIMEOUT = 120.0
INSTALL_TIMEOUT = 1800.0


@dataclass
class ExtensionManager:
    """What the extension panel does.

    :param provider: the entry point in ``jupyterlab.extension_manager_v1``.
    :param app: ``app_dir`` and ``labextensions_path`` for the child.
    :param policy: blocked and allowed lists; the child enforces them.
    :param config: settings of the manager's classes.
    """

    reactor: Any
    provider: str
    app: Mapping[str, Any]
    policy: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    log = Logger()

    async def metadata(self) -> dict[str, Any]:
        """Name and abilities, for managers that JupyterLab does not bring itself."""
        return await self._ask(LISTING_TIMEOUT, do="metadata")  # type: ignore[no-any-return]

    async def list(self, query: str | None, page: int, per_page: int) -> tuple[list[dict[str, Any]], int | None]:
        """Installed extensions, or those that match ``query``; and the number of the last page.

        :raises Failed: the manager failed.
        """
        found = await self._ask(LISTING_TIMEOUT, do="list", query=query, page=page, per_page=per_page)
        return found["extensions"], found["last_page"]

    async def act(self, command: str, name: str, version: str | None) -> dict[str, Any] | None:
        """Install or uninstall; None where policy forbids it.

        :raises Failed: the manager failed.
        """
        answer = await self._ask(INSTALL_TIMEOUT, do=command, name=name, version=version)
        return answer["result"]  # type: ignore[no-any-return]

    async def _ask(self, timeout: float, **request: Any) -> Any:
        whole = {"provider": self.provider, "app": self.app, "policy": self.policy, "config": self.config, **request}
        try:
            out = await run_module(self.reactor, CHILD, json.dumps(whole).encode(), timeout=timeout)
        except ChildFailed as error:
            self.log.error("the extension manager failed: {text}", text=error.stderr)
            raise Failed(f"The extension manager failed: {error.message}") from None
        answer = json.loads(out)
        for path, wrong in answer.pop("left_out", {}).items():
            self.log.warn("the extension of {path} is left out: {wrong}", path=path, wrong=wrong)
        return answer


class NoBuild(NotFound):
    """Nothing is being built."""


@dataclass
class Builder:
    """Builds JupyterLab with source extensions, which only few installations still have.

    :param app: ``app_dir`` and ``labextensions_path`` for the child.
    :param core: core mode: there is never anything to build.
    """

    reactor: Any
    app: Mapping[str, Any]
    core: bool = False
    log = Logger()

    def __post_init__(self) -> None:
        self._building: Deferred[bytes] | None = None
        self._cancelled = False

    async def status(self, has_sources: bool) -> dict[str, str]:
        """Whether a build is needed.

        :param has_sources: what :func:`has_source_extensions` said; without any nothing can need a build.
        """
        if self._building is not None:
            return {"status": "building", "message": ""}
        if self.core or not has_sources:
            return {"status": "stable", "message": ""}
        try:
            request = json.dumps({"do": "build_check", "app": self.app}).encode()
            messages = json.loads(await run_module(self.reactor, CHILD, request, timeout=LISTING_TIMEOUT))
        except JupyterdError as error:
            self.log.warn("could not tell whether JupyterLab needs a build: {error}", error=error.message)
            return {"status": "stable", "message": ""}
        return {"status": "needed" if messages else "stable", "message": "\n".join(messages)}

    async def build(self) -> None:
        """Build, or wait for the build under way.

        :raises Failed: it failed.
        :raises Invalid: somebody cancelled it.
        """
        if self._building is None:
            self._cancelled = False
            request = json.dumps({"do": "build", "app": self.app}).encode()
            self._building = run_module(self.reactor, CHILD, request, timeout=INSTALL_TIMEOUT)
        waiting: Deferred[None] = Deferred()
        self._building.addBoth(self._ended, waiting)
        await waiting

    def _ended(self, outcome: Any, waiting: Deferred[None]) -> Any:
        self._building = None
        error = getattr(outcome, "value", None)
        if self._cancelled:
            waiting.errback(Invalid("Build canceled"))
        elif error is not None:
            waiting.errback(Failed(str(error)))
        else:
            waiting.callback(None)
        return None if error is not None else outcome

    def cancel(self) -> None:
        """End the build under way.

        :raises NoBuild: there is none.
        """
        if self._building is None:
            raise NoBuild("No current build")
        self._cancelled = True
        self._building.cancel()


def has_source_extensions(app_dir: str) -> bool:
    """Extensions that are built into the application have been installed, or linked; blocks."""
    if glob(os.path.join(glob_escape(app_dir), "extensions", "*.tgz")):
        return True
    told = read_object(os.path.join(app_dir, "settings", "build_config.json"))
    return bool(told.get("local_extensions") or told.get("linked_packages"))
