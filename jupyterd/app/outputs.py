"""Recorded outputs in a daemon: the recorder, and where its resources are."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from jupyterd.web.root import Root

if TYPE_CHECKING:
    from twisted.web.resource import IResource

    from jupyterd.app.parts import Parts
    from jupyterd.kernels.manager import MappingKernelManager
    from jupyterd.outputs.recorder import Recorder


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


def mount(root: Root, recorder: Callable[[], Recorder], kernels: Callable[[], MappingKernelManager]) -> None:
    """Put the resources where clients look for them."""

    def executions() -> IResource:
        from jupyterd.outputs.resource import ExecutionsResource

        return ExecutionsResource(recorder(), lambda kernel_id: kernels()[kernel_id].execution_state).app.resource()

    root.mount("/api/kernels/*/executions", executions, auth="kernels")
