"""Loads extensions, each by itself: what one does wrong is told by its name, and the others are loaded all the same."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from jupyter_server.extension.manager import ExtensionManager, ExtensionPackage

from jupyterd.system.processes.resident import resident

Tell = Callable[[Mapping[str, Any]], None]


@dataclass
class Loaded:
    """What an extension took, and whether it works."""

    name: str
    version: str = ""
    seconds: float = 0.0
    memory: int = 0
    error: str = ""


class ReportingManager(ExtensionManager):
    """The Jupyter Server's, with an account of each extension.

    :ivar current: the extension whose code runs; empty between them.
    :ivar tell: takes what the daemon is told of each step.
    :ivar touched: called after each step.
    """

    def __init__(self, **kwargs: Any) -> None:
        self.tell: Tell = lambda message: None
        self.touched: Callable[[], None] = lambda: None
        self.current = ""
        self.loaded: dict[str, Loaded] = {}
        super().__init__(**kwargs)

    @contextmanager
    def _on_account(self, name: str, step: str) -> Iterator[None]:
        account = self.loaded.setdefault(name, Loaded(name))
        self.current = name
        self.tell({"do": "loading", "extension": name, "step": step})
        started, memory = time.monotonic(), resident(os.getpid())
        try:
            yield
        except (Exception, SystemExit) as error:
            account.error = account.error or f"it could not be {step}: {type(error).__name__}: {error}"[:2000]
            self.log.exception("%s | it could not be %s", name, step)
            self.tell({"do": "failed", "extension": name, "error": account.error})
        finally:
            account.seconds += time.monotonic() - started
            account.memory += max(0, resident(os.getpid()) - memory)
            self.current = ""
            self.touched()

    def add_extension(self, extension_name: str, enabled: bool = False) -> bool:
        """Import one."""
        if not enabled:
            return bool(super().add_extension(extension_name, enabled))
        with self._on_account(extension_name, "imported"):
            package = ExtensionPackage(name=extension_name, enabled=True)
            self.extensions[extension_name] = package
            self.loaded[extension_name].version = _version(extension_name, package)
            return True
        return False

    def link_extension(self, name: str) -> None:
        """Let one set the server's configuration."""
        extension = self.extensions[name]
        if self.linked_extensions.get(name, False) or not extension.enabled:
            return
        with self._on_account(name, "linked"):
            extension.link_all_points(self.serverapp)
            self.linked_extensions[name] = True

    def load_extension(self, name: str) -> None:
        """Let one add its handlers."""
        extension = self.extensions.get(name)
        if extension is None or not extension.enabled or self.loaded.get(name, Loaded(name)).error:
            return
        with self._on_account(name, "loaded"):
            extension.load_all_points(self.serverapp)
            self.log.info("%s | extension was successfully loaded.", name)

    async def start_extension(self, name: str) -> None:
        """Let one start its tasks."""
        extension = self.extensions.get(name)
        if extension is None or not extension.enabled or self.loaded.get(name, Loaded(name)).error:
            return
        with self._on_account(name, "started"):
            await extension.start_all_points(self.serverapp)


def _version(name: str, package: Any) -> str:
    given = getattr(package.module, "__version__", "")
    if isinstance(given, str) and given:
        return given
    top = name.partition(".")[0]
    try:
        return metadata.version(top.replace("_", "-"))
    except metadata.PackageNotFoundError:
        return ""
