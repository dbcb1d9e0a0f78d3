"""Recorded outputs in a daemon: the recorder, and where its resources are."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jupyterd.web.root import Root

if TYPE_CHECKING:
    from twisted.web.resource import IResource

    from jupyterd.contents.notebook_steps import Step
    from jupyterd.contents.service import Contents
    from jupyterd.kernels.channels.kernel_channels import KernelChannels
    from jupyterd.kernels.manager import MappingKernelManager
    from jupyterd.outputs.recorder import Recorder
    from jupyterd.outputs.runs.routes import RunRoutes
    from jupyterd.outputs.runs.runs import Runs
    from jupyterd.sessions.manager import SessionManager
    from jupyterd.settings.server_app import ServerApp
    from jupyterd.state.store import StateStore
    from jupyterd.state.surviving import Kept
    from jupyterd.system.threads import InThread
    from jupyterd.web.call import Call


def recorder(
    reactor: Any,
    server: ServerApp,
    in_thread: InThread,
    *,
    notebooks: Callable[[str], Awaitable[list[str]]],
    change: Callable[..., Any],
    emit: Callable[[str, dict[str, Any]], None],
    store: Callable[[], StateStore] | None,
    state_thread: InThread,
    kernels_stay: Callable[[], bool],
) -> Recorder:
    """The recorder of a daemon.

    :param notebooks: the paths of those that run on a kernel.
    :param change: changes a notebook on its way; see :meth:`jupyterd.contents.service.Contents.change`.
    :param emit: the event bus.
    :param store: the state file that the next daemon reads; None where there is none.
    :param kernels_stay: whether kernels go on when the daemon stops.
    """
    from jupyterd.outputs.ledger import ExecutionLedger
    from jupyterd.outputs.recorder import Recorder
    from jupyterd.outputs.settings import OutputRecorder

    return Recorder(
        OutputRecorder(parent=server),
        reactor,
        in_thread,
        notebooks=notebooks,
        change=change,
        emit=emit,
        ledger=None if store is None else ExecutionLedger(store, state_thread, reactor),
        kernels_stay=kernels_stay,
    )


@dataclass(frozen=True)
class _Notebooks:
    contents: Callable[[], Contents]

    async def read(self, path: str) -> dict[str, Any] | None:
        from jupyterd.contents import operations

        return await self.contents().ask(operations.notebook_on_disk, path)

    async def change(self, path: str, step: Step) -> None:
        await self.contents().change(path, step)


@dataclass(frozen=True)
class _Kernels:
    sessions: Callable[[], SessionManager]
    kernels: Callable[[], MappingKernelManager]

    async def session(self, path: str, kernel_name: str | None) -> tuple[str, str, bool]:
        from jupyterd.sessions.manager import Wanted

        wanted = Wanted(path, "notebook", path.rpartition("/")[2], kernel_name)
        model, is_new = await self.sessions().find_or_create(wanted)
        return model["id"], model["kernel"]["id"], is_new

    def channels_of(self, kernel_id: str) -> KernelChannels:
        return self.kernels().channels_of(kernel_id)

    async def interrupt(self, kernel_id: str) -> None:
        await self.kernels().interrupt(kernel_id)

    async def end(self, session_id: str) -> None:
        await self.sessions().delete(session_id)


def runs(
    reactor: Any,
    recorder: Recorder,
    *,
    contents: Callable[[], Contents],
    sessions: Callable[[], SessionManager],
    kernels: Callable[[], MappingKernelManager],
    emit: Callable[[str, dict[str, Any]], None],
    kept: Kept | None,
    state_thread: InThread,
    kernels_stay: Callable[[], bool],
) -> Runs:
    """What runs notebooks.

    :param kept: what the next daemon finds; None where it finds nothing.
    :param kernels_stay: whether kernels go on when the daemon stops.
    """
    from jupyterd.outputs.ledger import RunLedger
    from jupyterd.outputs.runs.runs import Runs

    made = Runs(
        reactor,
        _Notebooks(contents),
        _Kernels(sessions, kernels),
        write=recorder.write,
        is_pending=recorder.is_pending,
        emit=emit,
        ledger=None if kept is None else RunLedger(lambda: kept.store, kept.directory.exists, state_thread),
        kernels_stay=kernels_stay,
    )
    recorder.followers.append(made.moved)
    return made


def finder(runs: Callable[[], Runs], kept: Kept, state_thread: InThread) -> Callable[..., Awaitable[None]]:
    """Goes on with the runs that a former daemon has left; where all were over it waits for somebody who asks."""

    async def find(children: Any, listened: Any) -> None:
        if any(record["ended"] is None for record in await state_thread(lambda: kept.store.runs())):
            await runs().recall()

    return find


def run_routes(runs: Runs, may_execute: Callable[[Call], Awaitable[bool]]) -> RunRoutes:
    """``/api/contents/<notebook>/run`` and ``/runs``."""
    from jupyterd.outputs.runs.routes import RunRoutes

    return RunRoutes(runs, may_execute)


def mount(root: Root, recorder: Callable[[], Recorder], kernels: Callable[[], MappingKernelManager]) -> None:
    """Put the resources where clients look for them."""

    def executions() -> IResource:
        from jupyterd.outputs.resource import ExecutionsResource

        return ExecutionsResource(recorder(), lambda kernel_id: kernels()[kernel_id].execution_state).app.resource()

    root.mount("/api/kernels/*/executions", executions, auth="kernels")
