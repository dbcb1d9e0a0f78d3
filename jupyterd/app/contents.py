"""Contents service of a daemon, from its settings, and where its resources are mounted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import cache
from typing import TYPE_CHECKING, Any

from jupyterd.contents.thread_pools import ThreadPools
from jupyterd.web.root import Root

if TYPE_CHECKING:
    from jupyterd.contents.http.resource import BelowNotebooks
    from jupyterd.contents.notebooks.signature_store import Later
    from jupyterd.contents.service import Contents
    from jupyterd.events.progress import Progress
    from jupyterd.settings.load import Settings
    from jupyterd.system.threads import InThread

UNLIMITED = 1 << 62
"""Bytes: what the disk takes is the limit of a file that is uploaded as it is."""

JUPYTEXT_CLASS = "jupytext.TextFileContentsManager"

SCHEMA = "https://events.jupyter.org/jupyter_server/contents_service/v1"


def contents(
    reactor: Any,
    settings: Settings,
    pools: ThreadPools,
    emit: Callable[[str, dict[str, Any]], None],
    progress: Progress | None = None,
) -> Contents:
    """The service, with the contents manager that the operator wants.

    :param emit: the event bus; called in the reactor's thread.
    :param progress: is told of what takes long.
    """
    from jupyterd.contents.event_queue import EventQueue
    from jupyterd.contents.managers.manager import ContentsManager
    from jupyterd.contents.notebooks.signature_commits import SignatureCommits
    from jupyterd.contents.service import Contents

    outbox = EventQueue(reactor, lambda data: emit(SCHEMA, data))
    commits = SignatureCommits(reactor, pools.write)
    manager = manager_of(settings, outbox, commits.wait)
    service = Contents(reactor, manager, pools, outbox, commits)
    service.progress = progress
    if progress is not None and isinstance(manager, ContentsManager):
        manager.begin_task = progress.begin_in_thread
    limit = getattr(manager, "watched_directories", 0)
    if limit and hasattr(manager, "_get_os_path"):
        from jupyterd.contents.files.watcher import FileWatcher, inotify_watch

        service.changes = FileWatcher(reactor, pools.read, emit, inotify_watch(reactor), service.is_busy, limit)
    return service


def class_of(settings: Settings) -> Any:
    """The class that the operator has named; jupytext's, where it is enabled as a server extension and none is."""
    from jupyterd.extensions.discovery import JUPYTEXT, is_installed

    server = settings.server
    on = any(server.jpserver_extensions.get(name) for name in JUPYTEXT)
    if on and "contents_manager_class" not in server.config.get("ServerApp", {}) and is_installed("jupytext"):
        return JUPYTEXT_CLASS
    return server.contents_manager_class


def manager_of(settings: Settings, emit: Callable[[dict[str, Any]], None], sign_later: Later | None = None) -> Any:
    """The contents manager that the operator wants.

    :param emit: takes events' data, in any thread.
    :param sign_later: see :class:`jupyterd.contents.notebooks.signature_store.SharedSignatureStore`.
    """
    from jupyterd.compat.class_names import resolve
    from jupyterd.contents.managers.manager import ContentsManager
    from jupyterd.system.provenance import is_ours

    kind = resolve(class_of(settings))
    if not is_ours(kind):
        from jupyterd.contents.managers.foreign import adopt, on_ours

        kind = on_ours(kind)
    manager = kind(parent=settings.server)
    if isinstance(manager, ContentsManager):
        manager.emitter, manager.sign_later = emit, sign_later
    else:
        adopt(manager, emit, sign_later)
    return manager


def mount(
    root: Root,
    service: Callable[[], Contents],
    render: Callable[..., bytes],
    kernel_path: Callable[[str, str], Awaitable[str | None]] | None = None,
    below: Callable[[], BelowNotebooks] | None = None,
) -> None:
    """Put the resources where clients look for them.

    :param service: gives the one service; called at the first request.
    :param below: gives what answers other paths below notebooks.
    :param kernel_path: what a kernel calls a path; see :class:`~jupyterd.contents.http.pages.ResolvePathResource`.
    """

    @cache  # routes and bodies are of one object
    def resource() -> Any:
        from jupyterd.contents.http.resource import ContentsResource

        return ContentsResource(service(), None if below is None else below())

    def api() -> Any:
        return resource().app.resource()

    root.mount("/api/contents", api, auth="contents", body=lambda request: resource().body(request))
    _mount_files(root, service)
    _mount_pages(root, service, render, kernel_path)


def _mount_files(root: Root, service: Callable[[], Contents]) -> None:
    """``/files``: downloads and uploads of bytes."""

    @cache
    def files() -> Any:
        from jupyterd.contents.http.downloads import FilesResource

        return FilesResource(service())

    def download() -> Any:
        return files().app.resource()

    def sink(request: Any) -> Any:
        return files().body(request)

    root.mount("/files", download, auth="contents", page=True, untrusted=True, body=sink, max_body=UNLIMITED)


def _mount_pages(
    root: Root,
    service: Callable[[], Contents],
    render: Callable[..., bytes],
    kernel_path: Callable[[str, str], Awaitable[str | None]] | None,
) -> None:
    """``/view``, where notebooks once were, and what a kernel calls a path."""

    def view() -> Any:
        from jupyterd.contents.http.pages import ViewResource

        return ViewResource(service(), render).app.resource()

    def resolve() -> Any:
        from jupyterd.contents.http.pages import ResolvePathResource

        return ResolvePathResource(service(), kernel_path).app.resource()

    def moved() -> Any:
        from jupyterd.contents.http.pages import NotebooksResource

        return NotebooksResource().app.resource()

    root.mount("/view", view, auth="contents", page=True)
    root.mount("/api/resolvePath", resolve, auth="api", exact=True)
    root.mount("/api/notebooks", moved, auth="contents")


def mount_conversions(
    root: Root,
    settings: Settings,
    reactor: Any,
    in_thread: InThread,
    contents: Callable[[], Contents],
    progress: Callable[[], Progress],
) -> None:
    """``/api/nbconvert`` and ``/nbconvert``, which serves what users wrote.

    :param progress: gives what is told of each conversion.
    """
    server = settings.server

    def resource() -> Any:
        """The resource; made at the first request."""
        from jupyterd.nbconvert.converter import Converter
        from jupyterd.nbconvert.formats import Formats
        from jupyterd.nbconvert.resource import NbconvertResource

        policy = None
        if not server.nbconvert_csp_sandbox:
            policy = f"frame-ancestors 'self'; report-uri {server.base_url}api/security/csp-report"
        converter = Converter(reactor, in_thread, settings.config, progress())
        return NbconvertResource(Formats(reactor, in_thread), converter, contents, policy).app.resource()

    root.mount("/api/nbconvert", resource, auth="nbconvert", exact=True)
    root.mount("/nbconvert", resource, auth="nbconvert", page=True, untrusted=True)
