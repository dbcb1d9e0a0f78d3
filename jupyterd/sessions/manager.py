"""Sessions: which document runs on which kernel; no HTTP."""

from __future__ import annotations

import inspect
import os
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from traitlets import TraitError, Unicode, validate
from traitlets.config import LoggingConfigurable
from twisted.internet.defer import Deferred, DeferredLock
from twisted.logger import Logger

from jupyterd.errors import Gone, Invalid, NotFound
from jupyterd.kernels.manager import MappingKernelManager, NoSuchKernel
from jupyterd.system.threads import InThread

if TYPE_CHECKING:
    from jupyterd.sessions.store import Row, SessionTable

T = TypeVar("T")
SQLITE_HEADER = b"SQLite format 3"


class NoSuchSession(NotFound):
    """No session has that id, or its kernel is gone."""


@dataclass(frozen=True)
class Wanted:
    """A session to be created."""

    path: str
    type: str
    name: str | None = None
    kernel_name: str | None = None
    kernel_id: str | None = None


class SessionManager(LoggingConfigurable):
    """The sessions; :meth:`serve` gives it what it works with."""

    twisted_log = Logger()

    database_filepath = Unicode(
        ":memory:", help="The SQLite file that sessions are kept in; by default they are kept in memory."
    ).tag(config=True)

    @validate("database_filepath")
    def _check_database(self, proposal: Any) -> str:
        path = str(proposal["value"])
        if path == ":memory:" or not os.path.exists(path):
            return path
        if os.path.isdir(path):
            raise TraitError("`database_filepath` expected a file path, but the given path is a directory.")
        with open(path, "rb") as file:
            header = file.read(len(SQLITE_HEADER))
        if header not in (b"", SQLITE_HEADER):
            raise TraitError("The given file is not an SQLite database file.")
        return path

    def serve(
        self,
        *,
        kernels: MappingKernelManager,
        in_thread: InThread,
        kernel_path: Callable[[str], Awaitable[str]] | None = None,
    ) -> None:
        """Begin to manage.

        :param kernel_path: the API path of the directory for a document's kernel; None for the document's own.
        """
        self._kernels = kernels
        self._in_thread = in_thread
        self._kernel_path = kernel_path or self._own_directory
        self._table_or_none: SessionTable | None = None
        self._creating: dict[str, tuple[DeferredLock, int]] = {}

    @property
    def _table(self) -> SessionTable:
        if self._table_or_none is None:
            from jupyterd.sessions.store import SessionTable

            self._table_or_none = SessionTable(self.database_filepath)
        return self._table_or_none

    async def _in_table(self, call: Callable[..., T], *args: Any) -> T:
        """A table in memory never blocks; a file may."""
        if self.database_filepath == ":memory:":
            return call(*args)
        return await self._in_thread(call, *args)

    def close(self) -> None:
        """Close the database."""
        if self._table_or_none is not None:
            self._table_or_none.close()
            self._table_or_none = None

    # -- what there is

    async def list_models(self) -> list[dict[str, Any]]:
        """The REST models of all sessions; those whose kernels are gone are forgotten.

        Those whose kernels are dead are left out: front ends connect to what is listed, and start anew what is not.
        """
        return [
            self._model(row)
            for row in await self._in_table(self._table.all)
            if await self._alive(row) and self._kernels[row.kernel_id].execution_state != "dead"
        ]

    async def notebooks_on(self, kernel_id: str) -> list[str]:
        """The paths of the notebooks that run on a kernel, oldest session first."""
        rows = await self._in_table(self._table.on, kernel_id)
        return [row.path for row in rows if row.type == "notebook"]

    async def get(self, session_id: str) -> dict[str, Any]:
        """The REST model of a session.

        :raises NoSuchSession: there is none of that id, or its kernel is gone.
        """
        return self._model(await self._row(session_id))

    async def _row(self, session_id: str) -> Row:
        row = await self._in_table(self._table.get, session_id)
        if row is None:
            raise NoSuchSession(f"Session not found: session_id={session_id!r}")
        if not await self._alive(row):
            raise NoSuchSession(f"Session not found: {_orphaned(row)!r}")
        return row

    async def _alive(self, row: Row) -> bool:
        if row.kernel_id in self._kernels:
            return True
        self.twisted_log.warn("{message}", message=_orphaned(row))
        await self._in_table(self._table.remove, row.session_id)
        return False

    def _model(self, row: Row) -> dict[str, Any]:
        model = {
            "id": row.session_id,
            "path": row.path,
            "name": row.name,
            "type": row.type,
            "kernel": self._kernels.model(row.kernel_id),
        }
        if row.type == "notebook":
            model["notebook"] = {"path": row.path, "name": row.name}
        return model

    # -- what is done

    async def create(self, wanted: Wanted) -> dict[str, Any]:
        """The session of a document: the one it has, or a new one. Whoever asks at the same time gets the same one.

        :raises NoSuchKernelSpec: its kernel is not installed.
        :raises Failed: its kernel can not be started.
        """
        lock, waiting = self._creating.get(wanted.path, (DeferredLock(), 0))
        self._creating[wanted.path] = (lock, waiting + 1)
        await lock.acquire()
        try:
            return await self._existing(wanted.path) or await self._create(wanted)
        finally:
            lock.release()
            waiting = self._creating[wanted.path][1] - 1
            if waiting:
                self._creating[wanted.path] = (lock, waiting)
            else:
                del self._creating[wanted.path]

    async def _existing(self, path: str) -> dict[str, Any] | None:
        row = await self._in_table(self._table.at, path)
        if row is None or not await self._alive(row):
            return None
        return None if await self._dead(row) else self._model(row)

    async def _dead(self, row: Row) -> bool:
        """Whether a session's kernel is dead; both are forgotten by that."""
        if self._kernels[row.kernel_id].execution_state != "dead":
            return False
        await self._in_table(self._table.remove, row.session_id)
        await self._release(row.kernel_id)
        return True

    async def _create(self, wanted: Wanted) -> dict[str, Any]:
        from jupyterd.sessions.store import Row

        kernel_id = wanted.kernel_id
        if kernel_id is None or kernel_id not in self._kernels:
            kernel_id = await self._start_kernel(wanted.path, wanted.name, wanted.kernel_name, kernel_id)
        row = Row(str(uuid.uuid4()), wanted.path, wanted.name, wanted.type, kernel_id)
        await self._in_table(self._table.add, row)
        return self._model(row)

    async def _start_kernel(self, path: str, name: str | None, kernel_name: str | None, kernel_id: str | None) -> str:
        directory = await self._kernel_path(path)
        env = {**os.environ, "JPY_SESSION_NAME": await self._session_name(path, name)}
        kernel = await self._kernels.start(kernel_name, path=directory, kernel_id=kernel_id, env=env)
        return kernel.id

    async def _session_name(self, path: str, name: str | None) -> str:
        if name is None:
            return path
        return os.path.join(await self._in_thread(self._kernels.cwd_for_path, path), name)

    async def _own_directory(self, path: str) -> str:
        return await self._in_thread(_directory_of, self._kernels.root_dir, path)

    async def update(self, session_id: str, changes: dict[str, Any]) -> dict[str, Any]:
        """Change a session's ``path``, ``name``, ``type`` or ``kernel_id``; a kernel left without session is shut down.

        :raises NoSuchSession: there is none of that id.
        :raises Invalid: there is no such kernel.
        """
        before = await self._row(session_id)
        kernel_id = changes.get("kernel_id")
        if kernel_id is not None and kernel_id not in self._kernels:
            raise Invalid(f"No such kernel: {kernel_id}")
        row = before._replace(**changes)
        if row.path != before.path:  # JupyterLab gives a session its document's path after it has been created
            await self._existing(row.path)
        await self._in_table(self._table.replace, row)
        self._kernels[row.kernel_id].process.update_env(
            {"JPY_SESSION_NAME": await self._session_name(row.path, row.name)}
        )
        model = self._model(row)
        if row.kernel_id != before.kernel_id:
            released = Deferred.fromCoroutine(self._release(before.kernel_id))
            if self._kernels.use_pending_kernels:
                released.addErrback(lambda failure: self.twisted_log.failure("old kernel was not shut down", failure))
            else:
                await released
        return model

    async def start_kernel(self, session_id: str, kernel_name: str) -> str:
        """A new kernel for a session; the session has its old one until :meth:`update`.

        :returns: its id.
        :raises NoSuchSession: there is no session of that id.
        """
        row = await self._row(session_id)
        return await self._start_kernel(row.path, row.name, kernel_name, None)

    async def delete(self, session_id: str) -> None:
        """End a session, and its kernel unless another session has it too.

        :raises NoSuchSession: there is none of that id.
        :raises Gone: its kernel went away meanwhile.
        """
        row = await self._row(session_id)
        try:
            if await self._in_table(self._table.sharing, row.kernel_id) == 1:
                await self._kernels.shutdown(row.kernel_id)
        except NoSuchKernel:
            raise Gone("Kernel deleted before session") from None
        finally:
            await self._in_table(self._table.remove, session_id)

    async def _release(self, kernel_id: str) -> None:
        if kernel_id in self._kernels and not await self._in_table(self._table.sharing, kernel_id):
            await self._kernels.shutdown(kernel_id)


async def kernel_path_of(contents: Any, path: str) -> str:
    """The API path of the directory that a contents manager wants a document's kernel to work in."""
    found = contents.get_kernel_path(path=path)
    return str(await found if inspect.isawaitable(found) else found)


def _orphaned(row: Row) -> str:
    return (
        f"Kernel '{row.kernel_id}' appears to have been culled or died unexpectedly, "
        f"invalidating session '{row.session_id}'. The session has been removed."
    )


def _directory_of(root_dir: str, path: str) -> str:
    if os.path.isdir(os.path.join(root_dir, *(part for part in path.split("/") if part))):
        return path
    return path.rpartition("/")[0]
