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
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from jupyterd.errors import Failed, Gone, Invalid, NotFound
from jupyterd.kernels.manager import MappingKernelManager, NoSuchKernel
from jupyterd.system.keyed_locks import KeyedLocks
from jupyterd.system.threads import InThread

if TYPE_CHECKING:
    from jupyterd.sessions.store import Row, SessionTable

T = TypeVar("T")
SQLITE_HEADER = b"SQLite format 3"


class NoSuchSession(NotFound):
    """No session has that id, or its kernel is gone."""


class NotStarted(Failed):
    """A session's new kernel could not be started; it has its old one."""


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
        kept_in: Callable[[], str] | None = None,
    ) -> None:
        """Begin to manage.

        :param kept_in: the file that the table is kept in where ``database_filepath`` names none, because kernels
            outlive the daemon; None: it is kept in memory.
        :param kernel_path: the API path of the directory for a document's kernel; None for the document's own.
        """
        self._kernels = kernels
        self._in_thread = in_thread
        self._kernel_path = kernel_path or self._own_directory
        self._kept_in = kept_in
        self._table_or_none: SessionTable | None = None
        self._locks = KeyedLocks()

    @property
    def _table(self) -> SessionTable:
        if self._table_or_none is None:
            from jupyterd.sessions.store import SessionTable

            self._table_or_none = SessionTable(self._path(), durable=self.database_filepath != ":memory:")
        return self._table_or_none

    def _path(self) -> str:
        path = str(self.database_filepath)
        if path != ":memory:" or self._kept_in is None:
            return path
        try:
            return self._kept_in()
        except OSError as error:
            self.twisted_log.error("sessions are kept in memory: {error}", error=error)
            return path

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

    async def kernel_ids(self) -> set[str]:
        """The kernels that sessions have."""
        return {row.kernel_id for row in await self._in_table(self._table.all)}

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
        await self._in_table(self._table.remove, row)
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

        return (await self.find_or_create(wanted))[0]

    async def find_or_create(self, wanted: Wanted) -> tuple[dict[str, Any], bool]:
        """The same, and whether it is a new one."""

        async def find_or_create() -> tuple[dict[str, Any], bool]:
            found = await self._existing(wanted.path)
            return (await self._create(wanted), True) if found is None else (found, False)

        return await self._locks.alone([_path(wanted.path)], find_or_create)

    async def _existing(self, path: str) -> dict[str, Any] | None:
        row = await self._in_table(self._table.at, path)
        if row is None or not await self._alive(row):
            return None
        return None if await self._dead(row) else self._model(row)

    async def _dead(self, row: Row) -> bool:
        """Whether a session's kernel is dead; both are forgotten by that."""
        if self._kernels[row.kernel_id].execution_state != "dead":
            return False
        await self._in_table(self._table.remove, row)
        await self._release(row.kernel_id)
        return True

    async def _create(self, wanted: Wanted) -> dict[str, Any]:
        if wanted.kernel_id is None:
            return await self._create_with(wanted, None)
        return await self._locks.alone([_kernel(wanted.kernel_id)], lambda: self._create_with(wanted, wanted.kernel_id))

    async def _create_with(self, wanted: Wanted, kernel_id: str | None) -> dict[str, Any]:
        """:param kernel_id: nothing ends that kernel meanwhile."""
        from jupyterd.sessions.store import Row

        started = None
        if kernel_id is None or kernel_id not in self._kernels:
            kernel_id = started = await self._start_kernel(wanted.path, wanted.name, wanted.kernel_name, kernel_id)
        row = Row(str(uuid.uuid4()), wanted.path, wanted.name, wanted.type, kernel_id)
        try:
            await self._in_table(self._table.add, row)
        except BaseException:
            await self._end_unused(started)
            raise
        return self._model(row)

    async def _end_unused(self, kernel_id: str | None) -> None:
        """End a kernel that was started for a session which does not have it."""
        if kernel_id is None:
            return
        try:
            await self._end_unshared(kernel_id)
        except Exception:  # noqa: BLE001 - why there is no session is what the client is told
            self.twisted_log.failure("kernel {kernel_id} was not shut down", kernel_id=kernel_id)

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

    async def update(self, session_id: str, changes: dict[str, Any], kernel_name: str | None = None) -> dict[str, Any]:
        """Change a session's ``path``, ``name``, ``type`` or ``kernel_id``; a kernel left without session is shut down.

        Nothing else changes the session, or ends it, meanwhile.

        :param kernel_name: start a new kernel for it, of this kernelspec.
        :raises NoSuchSession: there is none of that id.
        :raises NotStarted: its new kernel can not be started; it keeps its old one.
        :raises Invalid: there is no such kernel.
        """

        async def change() -> dict[str, Any]:
            before = await self._row(session_id)
            if kernel_name is None:
                return await self._change(before, changes)
            started = await self._new_kernel(before, kernel_name)
            try:
                return await self._change(await self._row(session_id), {**changes, "kernel_id": started})
            except BaseException:
                await self._locks.alone([_kernel(started)], lambda: self._end_unused(started))
                raise

        return await self._locks.alone([_session(session_id)], change)

    async def _new_kernel(self, row: Row, kernel_name: str) -> str:
        try:
            return await self._start_kernel(row.path, row.name, kernel_name, None)
        except Exception as error:
            raise NotStarted(str(error)) from error

    async def _change(self, before: Row, changes: dict[str, Any]) -> dict[str, Any]:
        row = before._replace(**changes)
        paths = [] if row.path == before.path else [_path(before.path), _path(row.path)]
        kernels = [] if row.kernel_id == before.kernel_id else [_kernel(row.kernel_id)]

        async def change() -> dict[str, Any]:
            if paths:  # JupyterLab gives a session its document's path after it has been created
                await self._existing(row.path)
            return await self._locks.alone(kernels, lambda: self._replace(row, moved=bool(paths)))

        model = await self._locks.alone(paths, change)
        if row.kernel_id != before.kernel_id:
            released = Deferred.fromCoroutine(self._release(before.kernel_id))
            if self._kernels.use_pending_kernels:
                released.addErrback(lambda failure: self.twisted_log.failure("old kernel was not shut down", failure))
            else:
                await released
        return model

    async def _replace(self, row: Row, moved: bool) -> dict[str, Any]:
        if row.kernel_id not in self._kernels:
            raise Invalid(f"No such kernel: {row.kernel_id}")
        environment = {"JPY_SESSION_NAME": await self._session_name(row.path, row.name)}
        directory = await self._new_directory(row) if moved else None
        await self._in_table(self._table.replace, row)
        if row.kernel_id not in self._kernels:
            raise NoSuchSession(f"Session not found: {_orphaned(row)!r}")
        self._kernels[row.kernel_id].process.update_env(environment, directory)
        return self._model(row)

    async def _new_directory(self, row: Row) -> str | None:
        """Where a kernel works after its next start; None where another session is the one it was started for."""
        sessions = await self._in_table(self._table.on, row.kernel_id)
        if sessions and sessions[0].session_id != row.session_id:
            return None
        return await self._in_thread(self._kernels.cwd_for_path, await self._kernel_path(row.path))

    async def delete(self, session_id: str) -> None:
        """End a session, and its kernel unless another session has it too.

        Whoever wants a session of its document meanwhile gets a new one.

        :raises NoSuchSession: there is none of that id.
        :raises Gone: its kernel went away meanwhile.
        """

        async def end() -> None:
            row = await self._row(session_id)
            await self._locks.alone([_path(row.path), _kernel(row.kernel_id)], lambda: self._end(row))

        await self._locks.alone([_session(session_id)], end)

    async def _end(self, row: Row) -> None:
        try:
            if await self._in_table(self._table.sharing, row.kernel_id) == 1:
                await self._kernels.shutdown(row.kernel_id)
        except NoSuchKernel:
            raise Gone("Kernel deleted before session") from None
        finally:
            await self._in_table(self._table.remove, row)

    async def _release(self, kernel_id: str) -> None:
        """Shut a kernel down that no session has; nobody gets it meanwhile."""
        await self._locks.alone([_kernel(kernel_id)], lambda: self._end_unshared(kernel_id))

    async def _end_unshared(self, kernel_id: str) -> None:
        if kernel_id in self._kernels and not await self._in_table(self._table.sharing, kernel_id):
            await self._kernels.shutdown(kernel_id)


def _session(session_id: str) -> tuple[int, str]:
    """The locks in the order in which they are taken: a session's, its document's, a kernel's."""
    return (0, session_id)


def _path(path: str) -> tuple[int, str]:
    return (1, path)


def _kernel(kernel_id: str) -> tuple[int, str]:
    return (2, kernel_id)


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
