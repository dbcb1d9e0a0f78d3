"""Launch rules: what the operator's settings and a kernelspec say of how a kernel is launched."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from jupyterd.kernels.process.launcher_interface import KEEPER
from jupyterd.kernels.process.transport import takes_ipc
from jupyterd.kernels.settings import KernelRestarter, MappingKernelSettings, with_sections
from jupyterd.system.daemon_directory import Directory

if TYPE_CHECKING:
    from jupyterd.state.keeper_link import KeeperLink


class Specs(Protocol):
    """Where kernelspecs come from."""

    @property
    def client(self) -> Any:
        """The jupyter_client ``KernelSpecManager`` behind it."""

    async def spec(self, name: str) -> Any:
        """The jupyter_client ``KernelSpec`` of that name."""


class LaunchRules:
    """What holds for every kernel that is launched here.

    :param reactor: an asyncio reactor; jupyter_client runs on its loop.
    :param settings: the parent of each kernel's traitlets objects, and its ``kernel_manager_class``.
    :param specs: kernelspecs.
    :param connection_dir: where connection files are written.
    :param sockets: where the ipc transport's sockets lie.
    :param notes: where connection files are noted, for when this daemon is killed.
    :param keeper: whose children local kernels are; None where they are the daemon's own.
    """

    def __init__(
        self,
        reactor: Any,
        settings: MappingKernelSettings,
        specs: Specs,
        connection_dir: str,
        sockets: Directory,
        notes: Directory,
        keeper: KeeperLink | None = None,
    ) -> None:
        self.keeper = keeper
        self.reactor = reactor
        self.settings = settings
        self.specs = specs
        self.connection_dir = connection_dir
        self.sockets = sockets
        self.notes = notes
        self.restarter = KernelRestarter(
            config=with_sections(
                settings.config, "KernelRestarter", "IOLoopKernelRestarter", "AsyncIOLoopKernelRestarter"
            )
        )
        self._kernel_class: type[Any] | None = None

    @property
    def kernel_class(self) -> type[Any]:
        """The class that runs one kernel."""
        if self._kernel_class is None:
            from jupyterd.compat.class_names import resolve

            self._kernel_class = resolve(str(self.settings.kernel_manager_class))
        return self._kernel_class

    def configured(self, trait: str) -> Any:
        """What the operator set a trait of :attr:`kernel_class` to; None where it is not set."""
        config = self.settings.config
        names = [base.__name__ for base in self.kernel_class.__mro__]
        for name in (*names, "IOLoopKernelManager", "AsyncIOLoopKernelManager"):
            if name in config and trait in config[name]:
                return config[name][trait]
        return None

    def is_local(self, spec: Any) -> bool:
        """Whether a kernelspec's kernels are processes of this machine."""
        return self._provisioner_of(spec) == "local-provisioner"

    def _provisioner_of(self, spec: Any) -> str:
        from jupyter_client.provisioning.factory import KernelProvisionerFactory

        factory = KernelProvisionerFactory.instance(parent=self.settings)
        return str(factory._get_provisioner_config(spec).get("provisioner_name"))

    def is_kept(self, spec: Any) -> bool:
        """Whether a kernelspec's kernels are children of the keeper."""
        return self.keeper is not None and (self.is_local(spec) or self._provisioner_of(spec) == KEEPER)

    def transport_of(self, spec: Any) -> str | None:
        """``ipc`` for kernels known to take it, or what the operator says; None leaves it to jupyter_client."""
        if self.configured("ip") is not None or not self.is_local(spec):
            return None
        wanted = self.configured("transport")
        if wanted is None:
            return "ipc" if takes_ipc(spec.argv, spec.metadata or {}) else None
        return str(wanted)
