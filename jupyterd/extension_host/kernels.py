"""Kernel manager of extensions: a mirror of the daemon's, synchronously right; what is done, the daemon does."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from jupyter_client.multikernelmanager import MultiKernelManager
from jupyter_client.session import Session
from jupyter_server._tz import utcnow
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager, ServerKernelManager
from traitlets import Any as AnyTrait

from jupyterd.extension_host.daemon_api import DaemonAPI


class MirroredKernel(ServerKernelManager):
    """One kernel of the daemon's, to be spoken with; it is started, restarted and ended by the daemon alone.

    Each has a session of its own: its id names sockets, and one that was shared would take the daemon's over.
    """

    mirror: Any = None

    def adopt(self, kernel_id: str, told: Mapping[str, Any]) -> None:
        """Take what the daemon tells of the kernel."""
        self.kernel_id = kernel_id
        model = told["model"]
        self.kernel_name = model["name"]
        self.execution_state = model["execution_state"]
        self.last_activity = _time(model["last_activity"])
        self.connections = int(model["connections"])
        self.reason = model.get("reason", "")
        connection = told.get("connection")
        if connection:
            self.has_connection = True
            info = {name: value for name, value in connection.items() if name not in ("kernel_name", "key")}
            key = str(connection.get("key", "")).encode("latin-1")
            self.load_connection_info({**info, "key": key.decode("latin-1")})  # type: ignore[typeddict-item]
            self.session = Session(
                parent=self, key=key, signature_scheme=str(info.get("signature_scheme", "hmac-sha256"))
            )

    has_connection = False
    connections = 0

    def client(self, **kwargs: Any) -> Any:
        """A client of the kernel.

        :raises RuntimeError: the kernel has no sockets here (a gateway's).
        """
        if not self.has_connection:
            raise RuntimeError(f"Kernel {self.kernel_id} runs at a gateway: it has no sockets to connect to")
        return super().client(**kwargs)

    @property
    def has_kernel(self) -> bool:
        """It lives."""
        return self.mirror is not None and self.kernel_id in self.mirror._kernels and self.execution_state != "dead"

    async def _async_is_alive(self) -> bool:
        return self.has_kernel

    is_alive = _async_is_alive  # type: ignore[assignment]

    async def start_kernel(self, *args: Any, **kwargs: Any) -> None:  # type: ignore[override]
        """It runs already."""

    async def shutdown_kernel(self, now: bool = False, restart: bool = False) -> None:  # type: ignore[override]
        """End it."""
        await self.mirror.shutdown_kernel(self.kernel_id, now=now)

    async def restart_kernel(self, now: bool = False, **kwargs: Any) -> None:  # type: ignore[override]
        """Restart it."""
        await self.mirror.restart_kernel(self.kernel_id, now=now)

    async def interrupt_kernel(self) -> None:  # type: ignore[override]
        """Interrupt it."""
        await self.mirror.interrupt_kernel(self.kernel_id)

    def cleanup_connection_file(self) -> None:
        """It is the daemon's."""

    def cleanup_ipc_files(self) -> None:
        """They are the daemon's."""

    def __del__(self) -> None:
        """What is forgotten here lives on."""


class KernelMirror(AsyncMappingKernelManager):
    """All kernels of the daemon's."""

    api: DaemonAPI
    last_kernel_activity = AnyTrait()

    def serve(self, api: DaemonAPI) -> None:
        """Begin; kernels are told of by :meth:`update`."""
        self.api = api

    def update(self, changed: Mapping[str, Any], gone: list[str]) -> None:
        """Take what the daemon has pushed."""
        for kernel_id in gone:
            self._kernels.pop(kernel_id, None)
            self._kernel_connections.pop(kernel_id, None)
        if gone:
            self.last_kernel_activity = utcnow()
        for kernel_id, told in changed.items():
            kernel = self._kernels.get(kernel_id)
            if kernel is None:
                kernel = self._kernels[kernel_id] = MirroredKernel(parent=self, log=self.log)
                kernel.mirror = self
                kernel.kernel_spec_manager = self.kernel_spec_manager
            kernel.adopt(kernel_id, told)
            self._kernel_connections[kernel_id] = kernel.connections
            self.last_kernel_activity = max(self.last_kernel_activity, kernel.last_activity)

    # -- what is done

    async def start_kernel(  # type: ignore[override]
        self, *, kernel_id: str | None = None, path: Any = None, kernel_name: str | None = None, **kwargs: Any
    ) -> str:
        """Start a kernel, ``env`` is its whole environment; the id of it, or of the one that has ``kernel_id``."""
        if kernel_id is not None and kernel_id in self:
            return kernel_id
        body: dict[str, Any] = {
            "name": kernel_name,
            "path": None if path is None else str(path),
            "kernel_id": kernel_id,
        }
        if kwargs.get("env") is not None:
            body["env"] = dict(kwargs["env"])
        model = await self.api.asking("POST", "/host/kernels", body)
        return str(model["id"])

    async def shutdown_kernel(self, kernel_id: str, now: bool = False, restart: bool = False) -> None:  # type: ignore[override]
        """End a kernel."""
        self._check_kernel_id(kernel_id)
        await self.api.asking("DELETE", f"/host/kernels/{kernel_id}", query={"now": "1" if now else "0"})

    async def restart_kernel(self, kernel_id: str, now: bool = False) -> None:  # type: ignore[override]
        """Restart a kernel."""
        self._check_kernel_id(kernel_id)
        await self.api.asking("POST", f"/host/kernels/{kernel_id}/restart", query={"now": "1" if now else "0"})

    async def interrupt_kernel(self, kernel_id: str) -> None:  # type: ignore[override]
        """Interrupt a kernel."""
        self._check_kernel_id(kernel_id)
        await self.api.asking("POST", f"/host/kernels/{kernel_id}/interrupt")

    async def shutdown_all(self, now: bool = False) -> None:  # type: ignore[override]
        """Nothing: kernels are the daemon's, and outlive the host."""

    async def is_alive(self, kernel_id: str) -> bool:
        """A kernel lives."""
        return bool(MultiKernelManager.get_kernel(self, kernel_id).has_kernel)

    def start_watching_activity(self, kernel_id: str) -> None:
        """The daemon does."""

    def stop_watching_activity(self, kernel_id: str) -> None:
        """The daemon does."""

    def initialize_culler(self) -> None:
        """The daemon culls."""

    def notify_connect(self, kernel_id: str) -> None:
        """The daemon counts."""

    def notify_disconnect(self, kernel_id: str) -> None:
        """The daemon counts."""

    def __del__(self) -> None:
        """The end of this object ends no kernel."""


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(timezone.utc)
