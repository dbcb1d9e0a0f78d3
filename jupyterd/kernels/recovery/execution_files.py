"""Executions over REST in files, one each: so the next daemon knows what was handed in, and what came of it."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import orjson
from twisted.internet.defer import Deferred, DeferredLock
from twisted.logger import Logger

if TYPE_CHECKING:
    from jupyterd.system.threads import InThread

END = ".json"
Record = dict[str, Any]


class ExecutionFiles:
    """One kernel's.

    :param directory: made with the first file, readable by its owner only; it goes with the kernel's log.
    """

    log = Logger()

    def __init__(self, directory: str, in_thread: InThread) -> None:
        self._directory, self._in_thread = directory, in_thread
        self._turn = DeferredLock()
        self._closed = False

    def put(self, execution_id: str, record: Callable[[], Record]) -> None:
        """Write an execution down, in place of what was written of it.

        :param record: gives what is true when it is written, which is in a moment.
        """
        self._soon(_write, self._path(execution_id), record)

    def remove(self, execution_id: str) -> None:
        """Forget an execution."""
        self._soon(_remove, self._path(execution_id))

    def settled(self) -> Deferred[Any]:
        """Fires when all is written that was to be."""
        return self._turn.run(lambda: None)

    async def read(self) -> list[Record]:
        """What a former daemon has written down, oldest first; what can not be read is left out."""
        return await self._in_thread(_read, self._directory)

    def close(self) -> None:
        """Write nothing more."""
        self._closed = True

    def _path(self, execution_id: str) -> str:
        return os.path.join(self._directory, execution_id + END)

    def _soon(self, work: Callable[..., None], *arguments: Any) -> None:
        if not self._closed:
            self._turn.run(self._work, work, *arguments).addErrback(
                lambda failure: self.log.failure("an execution can not be written down", failure)
            )

    def _work(self, work: Callable[..., None], path: str, *record: Callable[[], Record]) -> Any:
        return None if self._closed else self._in_thread(work, path, *(each() for each in record))


# -- the functions below run in a thread


def _write(path: str, record: Record) -> None:
    data = orjson.dumps(record)
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    fd = os.open(f"{path}.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with open(fd, "wb") as file:
        file.write(data)
    os.replace(f"{path}.new", path)


def _remove(path: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(path)


def _read(directory: str) -> list[Record]:
    found = []
    with suppress(OSError):
        for name in os.listdir(directory):
            if name.endswith(END):
                with suppress(OSError, ValueError), open(os.path.join(directory, name), "rb") as file:
                    record = orjson.loads(file.read())
                    if isinstance(record, dict):
                        found.append(record)
    return sorted(found, key=lambda record: str(record.get("asked")))
