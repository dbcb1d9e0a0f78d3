"""Recorded outputs in a daemon: the recorder, and where its resources are."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from jupyterd.web.root import Root

if TYPE_CHECKING:
    from twisted.web.resource import IResource

    from jupyterd.app.parts import Parts
    from jupyterd.contents.steps import Step
    from jupyterd.kernels.channels.kernel_channels import KernelChannels
    from jupyterd.kernels.manager import MappingKernelManager
    from jupyterd.outputs.recorder import Recorder
    from jupyterd.outputs.run_routes import RunRoutes
    from jupyterd.outputs.runs import Runs


def recorder(parts: Parts) -> Recorder:
    """The recorder of a daemon."""
    from jupyterd.outputs.recorder import Recorder
    from jupyterd.outputs.settings import OutputRecorder

    return Recorder(
        OutputRecorder(parent=parts.server),
        parts.reactor,
        parts.in_thread,
        notebooks=lambda kernel_id: parts.sessions.notebooks_on(kernel_id),
        change=lambda path, step: parts.contents.change(path, step),
        emit=parts.emit,
    )


class _Notebooks:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def read(self, path: str) -> dict[str, Any] | None:
        from jupyterd.contents import operations

        return await self._parts.contents.ask(operations.notebook_on_disk, path)

    async def change(self, path: str, step: Step) -> None:
        await self._parts.contents.change(path, step)


class _Kernels:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def session(self, path: str, kernel_name: str | None) -> tuple[str, str, bool]:
        from jupyterd.sessions.manager import Wanted

        sessions = self._parts.sessions
        found = await sessions.at(path)
        name = path.rpartition("/")[2]
        model = found or await sessions.create(Wanted(path, "notebook", name, kernel_name))
        return model["id"], model["kernel"]["id"], found is None

    def channels_of(self, kernel_id: str) -> KernelChannels:
        return self._parts.kernels.channels_of(kernel_id)

    async def interrupt(self, kernel_id: str) -> None:
        await self._parts.kernels.interrupt(kernel_id)

    async def end(self, session_id: str) -> None:
        await self._parts.sessions.delete(session_id)


def runs(parts: Parts) -> Runs:
    """What runs notebooks."""
    from jupyterd.outputs.runs import Runs

    recorder = parts.recorder
    made = Runs(
        parts.reactor,
        _Notebooks(parts),
        _Kernels(parts),
        write=recorder.write,
        is_pending=recorder.is_pending,
        emit=parts.emit,
    )
    recorder.followers.append(made.moved)
    return made


def run_routes(parts: Parts) -> RunRoutes:
    """``/api/contents/<notebook>/run`` and ``/runs``."""
    from jupyterd.outputs.run_routes import RunRoutes

    return RunRoutes(parts.runs, lambda call: parts.guard.allowed(call.request.handler, "execute", "kernels"))


def mount(root: Root, recorder: Callable[[], Recorder], kernels: Callable[[], MappingKernelManager]) -> None:
    """Put the resources where clients look for them."""

    def executions() -> IResource:
        from jupyterd.outputs.resource import ExecutionsResource

        return ExecutionsResource(recorder(), lambda kernel_id: kernels()[kernel_id].execution_state).app.resource()

    root.mount("/api/kernels/*/executions", executions, auth="kernels")
