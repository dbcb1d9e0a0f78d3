"""Watcher of opened files: tells who has one open that another program wrote or removed it.

The directories of opened files are watched by inotify, where there is one, the least recently used given up when there
are too many. What this server saves itself is known by its tag and is no change.
"""

from __future__ import annotations

import os
import stat
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from twisted.application.service import Service
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.filepath import FilePath

from jupyterd.contents.models import etag_of
from jupyterd.system.threads import InThread

SCHEMA = "https://events.jupyter.org/jupyterd/contents_change/v1"

SETTLING = 0.25
"""Seconds without a further event after which a file is looked at."""

Watch = Callable[[str, Callable[[str], None]], Callable[[], None]]
"""Watches a directory: calls back with the names of entries that change, until the returned function is called."""


class FileWatcher(Service):
    """Tells of changes of the files that clients have open.

    :param emit: the event bus.
    :param watch: None where the system can not watch.
    :param busy: whether this server is just now writing a path itself.
    :param limit: the largest number of directories watched at a time.
    """

    log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        in_thread: InThread,
        emit: Callable[[str, dict[str, Any]], None],
        watch: Watch | None,
        busy: Callable[[str], bool],
        limit: int,
    ) -> None:
        self._clock = clock
        self._in_thread = in_thread
        self._emit = emit
        self._watch = watch
        self._busy = busy
        self._limit = limit
        self._directories: OrderedDict[str, _Directory] = OrderedDict()

    def seen(self, os_path: str, path: str, etag: str) -> None:
        """A client has this content of a file; from now on a change of it is told."""
        if self._watch is None or not self._limit:
            return
        parent, name = os.path.split(os_path)
        directory = self._directories.get(parent)
        if directory is None:
            directory = self._add(parent)
            if directory is None:
                return
        self._directories.move_to_end(parent)
        directory.files[name] = (path, etag)

    def saved(self, os_path: str, etag: str) -> None:
        """This server wrote the file."""
        parent, name = os.path.split(os_path)
        directory = self._directories.get(parent)
        if directory is not None and name in directory.files:
            directory.files[name] = (directory.files[name][0], etag)

    def forget(self, os_path: str) -> None:
        """This server moved or removed the file."""
        parent, name = os.path.split(os_path)
        directory = self._directories.get(parent)
        if directory is not None:
            directory.files.pop(name, None)

    def _add(self, parent: str) -> _Directory | None:
        assert self._watch is not None
        directory = _Directory()
        try:
            directory.stop = self._watch(parent, lambda name: self._stirred(parent, name))
        except Exception as error:  # noqa: BLE001 - the system's limit; whatever it is, files can be edited without
            self.log.warn("changes of files in {path} are not told: {error}", path=parent, error=error)
            return None
        self._directories[parent] = directory
        while len(self._directories) > self._limit:
            self._directories.popitem(last=False)[1].end()
        return directory

    def _stirred(self, parent: str, name: str) -> None:
        directory = self._directories.get(parent)
        if directory is None or name not in directory.files:
            return
        waiting = directory.waiting.get(name)
        if waiting is not None and waiting.active():
            waiting.reset(SETTLING)
        else:
            directory.waiting[name] = self._clock.callLater(SETTLING, self._look, parent, name)

    def _look(self, parent: str, name: str) -> None:
        directory = self._directories.get(parent)
        if directory is None or name not in directory.files:
            return
        directory.waiting.pop(name, None)
        if self._busy(directory.files[name][0]):
            self._stirred(parent, name)
        else:
            self._in_thread(_tag_of, os.path.join(parent, name)).addCallback(self._compare, directory, name)

    def _compare(self, tag: str | None, directory: _Directory, name: str) -> None:
        if name not in directory.files:
            return
        path, known = directory.files[name]
        if tag != known and not self._busy(path):
            directory.files[name] = (path, tag)
            self._emit(SCHEMA, {"action": "change" if tag is not None else "delete", "path": path})

    def stopService(self) -> None:
        """Watch nothing any more."""
        super().stopService()
        while self._directories:
            self._directories.popitem()[1].end()


class _Directory:
    """A watched directory.

    :ivar files: by name: the API path, and the tag of the content that clients have (None: they know it is gone).
    """

    def __init__(self) -> None:
        self.files: dict[str, tuple[str, str | None]] = {}
        self.waiting: dict[str, Any] = {}
        self.stop: Callable[[], None] = lambda: None

    def end(self) -> None:
        self.stop()
        for call in self.waiting.values():
            if call.active():
                call.cancel()


def _tag_of(os_path: str) -> str | None:
    try:
        status = os.stat(os_path)
    except OSError:
        return None
    return etag_of(status) if stat.S_ISREG(status.st_mode) else None


def inotify_watch(reactor: Any) -> Watch | None:
    """Watch by inotify; None where the system has none."""
    try:
        from twisted.internet import inotify
    except ImportError:
        return None
    try:
        notifier = inotify.INotify(reactor)
    except OSError:
        return None
    notifier.startReading()
    mask = inotify.IN_CLOSE_WRITE | inotify.IN_MOVED_TO | inotify.IN_MOVED_FROM | inotify.IN_DELETE

    def watch(directory: str, stirred: Callable[[str], None]) -> Callable[[], None]:
        path = FilePath(os.fsencode(directory))

        def event(_: Any, changed: Any, __: int) -> None:
            stirred(os.fsdecode(changed.basename()))

        notifier.watch(path, mask=mask, callbacks=[event])
        return lambda: notifier.ignore(path) if notifier._isWatched(path) else None

    return watch
