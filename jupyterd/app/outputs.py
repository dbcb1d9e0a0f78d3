"""Recorded outputs in a daemon: the recorder, and where its resources are."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from jupyterd.web.root import Root

if TYPE_CHECKING:
    from twisted.web.resource import IResource

    from jupyterd.kernels.manager import MappingKernelManager
    from jupyterd.outputs.recorder import Recorder
    from jupyterd.settings.server_app import ServerApp
    from jupyterd.system.threads import InThread


def recorder(
    reactor: Any,
    server: ServerApp,
    in_thread: InThread,
    *,
    notebooks: Callable[[str], Awaitable[list[str]]],
    change: Callable[..., Any],
    emit: Callable[[str, dict[str, Any]], None],
) -> Recorder:
    """The recorder of a daemon.

    :param notebooks: the paths of those that run on a kernel.
    :param change: changes a notebook on its way; see :meth:`jupyterd.contents.service.Contents.change`.
    :param emit: the event bus.
    """
    from jupyterd.outputs.recorder import Recorder
    from jupyterd.outputs.settings import OutputRecorder

    return Recorder(
        OutputRecorder(parent=server),
        reactor,
        in_thread,
        notebooks=notebooks,
        change=change,
        emit=emit,
    )


def mount(root: Root, recorder: Callable[[], Recorder], kernels: Callable[[], MappingKernelManager]) -> None:
    """Put the resources where clients look for them."""

    def executions() -> IResource:
        from jupyterd.outputs.resource import ExecutionsResource

        return ExecutionsResource(recorder(), lambda kernel_id: kernels()[kernel_id].execution_state).app.resource()

    root.mount("/api/kernels/*/executions", executions, auth="kernels")
