"""Mounts of kernels, their channels, kernelspecs and sessions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from jupyterd.web.root import Root

if TYPE_CHECKING:
    from jupyterd.gateway.kernelspecs import GatewaySpecs
    from jupyterd.kernels.manager import MappingKernelManager
    from jupyterd.kernelspecs.manager import KernelSpecs
    from jupyterd.sessions.manager import SessionManager
    from jupyterd.web.call import Call


def mount(
    root: Root,
    kernels: Callable[[], MappingKernelManager],
    sessions: Callable[[], SessionManager],
    may_write: Callable[[Call], Awaitable[bool]],
) -> None:
    """``/api/kernels``, their websockets, their logs, and code run over REST.

    :param sessions: they keep dead kernels listed.
    :param may_write: whether who asks may change notebooks.
    """

    def resource() -> Any:
        from jupyterd.kernels.resource import KernelsResource

        return KernelsResource(kernels(), lambda: sessions().kernel_ids()).app.resource()

    def channels() -> Any:
        from jupyterd.kernels.websocket.resource import ChannelsResource

        return ChannelsResource(kernels().channels_of, may_write).app.resource()

    root.mount("/api/kernels", resource, auth="kernels")
    root.mount("/api/kernels/*/channels", channels, auth="kernels", websocket=True)
    root.mount("/api/kernels/*/log", channels, auth="kernels")
    root.mount("/api/kernels/*/execute", channels, auth="kernels", action="execute")


def mount_kernelspecs(
    root: Root, specs: Callable[[], KernelSpecs | GatewaySpecs], kernels: Callable[[], MappingKernelManager]
) -> None:
    """``/api/kernelspecs``, and their logos at ``/kernelspecs``."""

    def resource() -> Any:
        from jupyterd.kernelspecs.resource import KernelSpecsResource

        return KernelSpecsResource(specs(), lambda: str(kernels().default_kernel_name)).app.resource()

    root.mount("/api/kernelspecs", resource, auth="kernelspecs")
    root.mount("/kernelspecs", resource, auth="kernelspecs", page=True)


def mount_sessions(root: Root, sessions: Callable[[], SessionManager]) -> None:
    """``/api/sessions``."""

    def resource() -> Any:
        from jupyterd.sessions.resource import SessionsResource

        return SessionsResource(sessions()).app.resource()

    root.mount("/api/sessions", resource, auth="sessions")
