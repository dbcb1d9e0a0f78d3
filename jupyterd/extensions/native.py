"""Extensions of jupyterd itself: packages that add resources, websockets and services to the daemon.

A package names a function in the entry-point group :data:`GROUP`; it is called with a :class:`Native` at the start. All
that it mounts is guarded as the daemon's own mounts are. One that fails is told of, and left out.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from traitlets.config import Config
from twisted.application.service import IService
from twisted.logger import Logger
from twisted.web.resource import IResource

from jupyterd.extensions.host_report import Extension
from jupyterd.extensions.routes import is_reserved
from jupyterd.frontends.static_files import StaticFiles
from jupyterd.system.threads import InThread
from jupyterd.web.api import Routes, json_api
from jupyterd.web.call import Call
from jupyterd.web.root import Mount, Root

GROUP = "jupyterd.extensions"


class BadExtension(Exception):
    """It asks for what an extension may not have."""


@dataclass
class Native:
    """The daemon, as one extension of it sees it.

    :param name: the entry point's.
    :param config: the operator's settings, for ``Configurable(config=...)``.
    :param reactor: the one reactor; nothing may block it.
    :param in_thread: where what blocks is done.
    :param kernels: gives the :class:`~jupyterd.kernels.manager.MappingKernelManager`.
    :param sessions: gives the :class:`~jupyterd.sessions.manager.SessionManager`.
    :param contents: gives the :class:`~jupyterd.contents.service.Contents`.
    :param bus: gives the :class:`~jupyterd.events.bus.EventBus`.
    :ivar page_config: what the pages of front ends are told; add to it.
    """

    name: str
    base_url: str
    config: Config
    reactor: Any
    in_thread: InThread
    kernels: Callable[[], Any]
    sessions: Callable[[], Any]
    contents: Callable[[], Any]
    bus: Callable[[], Any]
    page_config: dict[str, Any] = field(default_factory=dict)
    mounts: list[tuple[str, Callable[[], IResource], dict[str, Any]]] = field(default_factory=list)
    services: list[IService] = field(default_factory=list)

    def mount(self, prefix: str, factory: Callable[[], IResource], *, auth: str, **options: Any) -> None:
        """Let a resource answer ``prefix`` and all below it; see :meth:`jupyterd.web.root.Root.mount` for the options.

        :param auth: what the authorizer is asked for, when somebody who is known asks.
        :raises BadExtension: nobody may take the prefix, or it would be open to strangers.
        """
        segments = [segment for segment in prefix.split("/") if segment]
        if not segments or is_reserved(segments):
            raise BadExtension(f"{prefix} can not be taken")
        if options.get("public"):
            raise BadExtension(f"{prefix} would be open to strangers")
        self.mounts.append((prefix, factory, {"auth": auth, **options}))

    def serve(self, service: IService) -> None:
        """Start a service with the daemon, and stop it with it."""
        self.services.append(service)

    def files(self, prefix: str, directory: str) -> None:
        """Serve the files of a directory below ``prefix`` to those who are known."""

        self.mount(prefix, lambda: _files_below(prefix.rstrip("/"), directory), auth=self.name, page=True)


@dataclass
class NativeExtensions:
    """All of them.

    :param make: gives each what it may use.
    :param wanted: whether an entry point of that name is not switched off (``jpserver_extensions``).
    """

    make: Callable[[str], Native]
    wanted: Callable[[str], bool]
    loaded: list[Extension] = field(default_factory=list)
    page_config: dict[str, Any] = field(default_factory=dict)
    log = Logger()

    def load(self, found: Iterable[EntryPoint], root: Root, add: Callable[[IService], None]) -> None:
        """Load them in the order of their names.

        :param add: takes the services.
        """
        for entry in sorted(found, key=lambda each: each.name):
            if self.wanted(entry.name):
                self._load(entry, root, add)

    def _load(self, entry: EntryPoint, root: Root, add: Callable[[IService], None]) -> None:
        account = Extension(entry.name, getattr(entry.dist, "version", "") or "")
        self.loaded.append(account)
        started, native = time.monotonic(), self.make(entry.name)
        mounted: list[Mount] = []
        try:
            entry.load()(native)
            for prefix, factory, options in native.mounts:
                mounted += root.mount(prefix, factory, **options)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever it does wrong, the daemon goes on
            root.unmount(mounted)
            account.error = f"{type(error).__name__}: {error}"[:2000]
            self.log.failure("the extension {name} is left out", name=entry.name)
        else:
            for service in native.services:
                add(service)
            self.page_config.update(native.page_config)
            account.routes = len(native.mounts)
        account.seconds = time.monotonic() - started


def _files_below(prefix: str, directory: str) -> IResource:
    class Files:
        app = Routes()
        api = json_api(app)

        @api(("GET", "HEAD"), f"{prefix}/<path:path>")
        async def file(self, call: Call, path: str) -> object:
            return await StaticFiles().send(call, path, [directory])

    return Files().app.resource()


def find() -> list[EntryPoint]:
    """The entry points of the group; packages' metadata is only read where some package has such a group."""
    return list(entry_points(group=GROUP)) if any(map(_names_group, sys.path)) else []


def _names_group(directory: str) -> bool:
    try:
        with os.scandir(directory or ".") as entries:
            folders = [each.path for each in entries if each.name.endswith((".dist-info", ".egg-info"))]
    except OSError:
        return False
    return any(_has_group(os.path.join(folder, "entry_points.txt")) for folder in folders)


def _has_group(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return f"[{GROUP}]".encode() in file.read()
    except OSError:
        return False


def switched_on(extensions: Mapping[str, bool]) -> Callable[[str], bool]:
    """Whether an extension is wanted: all are that are installed, but for those set to False."""
    return lambda name: bool(extensions.get(name, True))
