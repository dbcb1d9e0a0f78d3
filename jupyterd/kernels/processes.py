"""Kernels as jupyter_client's provisioners run them: local processes, or whatever a kernelspec's provisioner makes."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from jupyterd.aio import from_asyncio
from jupyterd.errors import Failed, JupyterdError
from jupyterd.kernels.death import Death, oom_counter, oom_kills
from jupyterd.kernels.directory import DaemonDirectory
from jupyterd.kernels.launcher import KernelProcess, Order
from jupyterd.kernels.settings import KernelRestarter, MappingKernelSettings, with_sections
from jupyterd.kernels.watch import ProcessWatch, StandardError

IPC_MODULES = ("ipykernel_launcher", "ipykernel", "xpython", "xpython_launcher", "bash_kernel")
"""Python modules that run kernels which take the ipc transport as jupyter_client writes it."""

SOCKET_PATH_LIMIT = 103
"""Bytes that the path of a UNIX socket may have: 103 on macOS and BSD, 107 on Linux."""

PORT_TAKEN = ("address already in use", "address in use")


class Specs(Protocol):
    """Where kernelspecs come from."""

    @property
    def client(self) -> Any:
        """The jupyter_client ``KernelSpecManager`` behind it."""

    async def spec(self, name: str) -> Any:
        """The jupyter_client ``KernelSpec`` of that name."""


class ProcessLauncher:
    """Runs kernels through jupyter_client.

    :param reactor: an asyncio reactor; jupyter_client runs on its loop.
    :param settings: the parent of each kernel's traitlets objects, and its ``kernel_manager_class``.
    :param specs: kernelspecs.
    :param connection_dir: where connection files are written.
    :param sockets: where the ipc transport's sockets lie.
    """

    def __init__(
        self, reactor: Any, settings: MappingKernelSettings, specs: Specs, connection_dir: str, sockets: DaemonDirectory
    ) -> None:
        self.reactor = reactor
        self.settings = settings
        self.specs = specs
        self.connection_dir = connection_dir
        self.sockets = sockets
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
            from traitlets.utils.importstring import import_item

            self._kernel_class = import_item(str(self.settings.kernel_manager_class))
        return self._kernel_class

    async def process(self, order: Order, ended: Callable[[Death], None]) -> KernelProcess:
        """Prepare a kernel.

        :raises NoSuchKernelSpec: there is no kernelspec of that name.
        """
        # jupyter_client calls the native kernel so, whatever its version.
        order = replace(order, name="python3") if order.name == "python" else order
        spec = await self.specs.spec(order.name)
        return ClientProcess(self, order, spec, ended)


class ClientProcess:
    """One kernel of a :class:`ProcessLauncher`."""

    log = Logger()
    owned = True

    def __init__(self, launcher: ProcessLauncher, order: Order, spec: Any, ended: Callable[[Death], None]) -> None:
        self._launcher = launcher
        self._order = order
        self._spec = spec
        self._ended = ended
        self._stopping = False
        self._retries = 0
        self._stderr: StandardError | None = None
        self._watch: ProcessWatch | PollingWatch | None = None
        self._oom: tuple[str, int] | None = None
        self._env = None if order.env is None else dict(order.env)
        self._manager = self._new_manager(_transport(launcher, spec))

    # -- what it is

    @property
    def connection_info(self) -> dict[str, Any]:
        """See :class:`KernelProcess`."""
        return dict(self._manager.get_connection_info())

    @property
    def name(self) -> str:
        """See :class:`KernelProcess`."""
        return str(self._manager.kernel_name)

    @property
    def metadata(self) -> Mapping[str, Any]:
        """See :class:`KernelProcess`."""
        return self._spec.metadata or {}

    @property
    def autorestart(self) -> bool:
        """See :class:`KernelProcess`."""
        return bool(self._autorestart)

    @property
    def shutdown_wait_time(self) -> float:
        """See :class:`KernelProcess`."""
        return float(self._manager.shutdown_wait_time)

    @property
    def pid(self) -> int | None:
        """The process's number, None where there is none here."""
        process = getattr(self._manager.provisioner, "process", None)
        return getattr(process, "pid", None)

    @property
    def transport(self) -> str:
        """``ipc`` or ``tcp``."""
        return str(self._manager.transport)

    def resolve_path(self, path: str) -> str | None:
        """See :class:`KernelProcess`."""
        provisioner = self._manager.provisioner
        resolve = getattr(provisioner, "resolve_path", None)
        return None if resolve is None else resolve(path)

    def update_env(self, env: Mapping[str, str]) -> None:
        """See :class:`KernelProcess`."""
        if self._env is not None:
            self._env.update(env)

    # -- its life

    async def start(self) -> None:
        """See :class:`KernelProcess`."""
        kwargs = self._launch_kwargs()
        if self._env is not None:
            kwargs["env"] = self._env
        if self._order.cwd is not None:
            kwargs["cwd"] = self._order.cwd
        if self._launcher.settings.transport_encryption != "disabled":
            kwargs["transport_encryption"] = self._launcher.settings.transport_encryption
        await self._launch(self._manager.start_kernel(kernel_id=self._order.kernel_id, **kwargs))

    async def restart(self, *, now: bool, new_ports: bool = False) -> None:
        """See :class:`KernelProcess`."""
        self._stopping = True
        kwargs = self._launch_kwargs()
        if self._env is not None:
            kwargs["env"] = self._env
        await self._launch(self._manager.restart_kernel(now=now, newports=new_ports, **kwargs))

    async def _launch(self, starting: Awaitable[Any]) -> None:
        try:
            await from_asyncio(starting)
        except JupyterdError:
            raise
        except Exception as error:  # what a provisioner raises is its own
            said = self._stderr.drain() if self._stderr is not None else ""
            await self._clean_up()
            raise Failed(f"{error}\n{said}" if said else str(error)) from error
        self._stopping = False
        if self._stderr is not None:
            self._stderr.launched()
        self._watch_process()

    def _launch_kwargs(self) -> dict[str, Any]:
        if self._stderr is not None:
            self._stderr.close()
            self._stderr = None
        if not _is_local(self._spec, self._launcher.settings):
            return {}
        self._stderr = StandardError(self._launcher.reactor, self._order.kernel_id)
        return {"stderr": self._stderr.write_fd}

    def _watch_process(self) -> None:
        if self._watch is not None:
            self._watch.stop()
        provisioner = self._manager.provisioner
        process = getattr(provisioner, "process", None)
        self._manager.exited = None
        if process is not None and hasattr(process, "pid") and hasattr(process, "wait"):
            counter = oom_counter(process.pid)
            self._oom = None if counter is None else (counter, oom_kills(counter) or 0)
            self._manager.exited = asyncio.get_running_loop().create_future()
            self._watch = ProcessWatch(self._launcher.reactor, process, self._exited)
        else:
            interval = self._launcher.restarter.time_to_dead
            self._watch = PollingWatch(self._launcher.reactor, provisioner.poll, interval, self._exited)

    def _exited(self, status: int | None) -> None:
        exited = self._manager.exited
        if exited is not None and not exited.done():
            exited.set_result(None)
        if self._stopping:
            return
        stderr = self._stderr.drain() if self._stderr is not None else ""
        self._ended(Death(status, self._out_of_memory(status), stderr))

    def _out_of_memory(self, status: int | None) -> bool:
        if status != -signal.SIGKILL or self._oom is None:
            return False
        counter, before = self._oom
        return (oom_kills(counter) or 0) > before

    def retry(self, death: Death) -> bool:
        """See :class:`KernelProcess`: an ipc kernel may start with tcp, one whose ports were taken with others."""
        if self.transport == "ipc" and _configured(self._launcher, "transport") is None:
            self.log.info(
                "kernel {kernel_id} does not start with the ipc transport, trying tcp", kernel_id=self._order.kernel_id
            )
        elif self.transport == "tcp" and self._retries < 3 and _port_taken(death.stderr):
            self._retries += 1
        else:
            return False
        self._forget_manager()
        self._manager = self._new_manager("tcp")
        return True

    async def stop(self, *, now: bool = False) -> None:
        """See :class:`KernelProcess`."""
        self._stopping = True
        try:
            if self._manager.has_kernel:
                await from_asyncio(self._manager.shutdown_kernel(now=now))
        finally:
            await self._clean_up()

    async def _clean_up(self) -> None:
        provisioner = self._manager.provisioner
        if provisioner is not None and not provisioner.has_process and provisioner.connection_info:
            await from_asyncio(self._manager.cleanup_resources())
        if self._watch is not None:
            self._watch.stop()
            self._watch = None
        if self._stderr is not None:
            self._stderr.drain()
            self._stderr.close()
            self._stderr = None
        self._forget_manager()

    def _forget_manager(self) -> None:
        self._manager.cleanup_connection_file()
        self._manager.cleanup_ipc_files()

    async def interrupt(self) -> None:
        """See :class:`KernelProcess`."""
        await from_asyncio(self._manager.interrupt_kernel())

    # -- making it

    def _new_manager(self, transport: str | None) -> Any:
        launcher = self._launcher
        traits: dict[str, Any] = {}
        if transport == "ipc" and (address := socket_address(launcher.sockets, self._order.kernel_id)) is not None:
            traits = {"transport": "ipc", "ip": address}
        manager = launcher.kernel_class(
            parent=launcher.settings,
            config=with_sections(
                launcher.settings.config, "ServerKernelManager", "IOLoopKernelManager", "AsyncIOLoopKernelManager"
            ),
            connection_file=os.path.join(launcher.connection_dir, f"kernel-{self._order.kernel_id}.json"),
            kernel_name=self._order.name,
            kernel_spec_manager=launcher.specs.client,
            **traits,
        )
        manager._kernel_spec = self._spec
        manager.ask = self._order.ask
        manager.stopped = self._order.stopped
        self._autorestart = manager.autorestart
        manager.autorestart = False  # its restarter polls; the end of the process is an event here
        return manager


class PollingWatch:
    """Asks a provisioner of remote kernels whether its kernel lives."""

    log = Logger()

    def __init__(
        self,
        clock: Any,
        poll: Callable[[], Awaitable[int | None]],
        interval: float,
        ended: Callable[[int | None], None],
    ) -> None:
        self._poll = poll
        self._ended = ended
        self._loop = LoopingCall(lambda: Deferred.fromCoroutine(self._ask()))
        self._loop.clock = clock
        self._loop.start(interval, now=False)

    async def _ask(self) -> None:
        try:
            status = await from_asyncio(self._poll())
        except Exception:  # noqa: BLE001 - a provisioner that can not be reached now may be later
            self.log.failure("a provisioner does not say whether its kernel lives")
            return
        if status is not None and self._loop.running:
            self.stop()
            self._ended(status)

    def stop(self) -> None:
        """Ask no more."""
        if self._loop.running:
            self._loop.stop()


def _is_local(spec: Any, settings: MappingKernelSettings) -> bool:
    from jupyter_client.provisioning.factory import KernelProvisionerFactory

    factory = KernelProvisionerFactory.instance(parent=settings)
    return bool(factory._get_provisioner_config(spec).get("provisioner_name") == "local-provisioner")


def _configured(launcher: ProcessLauncher, trait: str) -> Any:
    """What the operator set a trait of the kernel's class to; None where it is not set."""
    config = launcher.settings.config
    names = [base.__name__ for base in launcher.kernel_class.__mro__]
    for name in (*names, "IOLoopKernelManager", "AsyncIOLoopKernelManager"):
        if name in config and trait in config[name]:
            return config[name][trait]
    return None


def _transport(launcher: ProcessLauncher, spec: Any) -> str | None:
    """``ipc`` for kernels known to take it, unless the operator says otherwise; None leaves it to jupyter_client."""
    if _configured(launcher, "ip") is not None or not _is_local(spec, launcher.settings):
        return None
    wanted = _configured(launcher, "transport")
    if wanted is None:
        return "ipc" if takes_ipc(spec.argv, spec.metadata or {}) else None
    return str(wanted)


def socket_address(directory: DaemonDirectory, kernel_id: str) -> str | None:
    """What a kernel's ``ip`` is for the ipc transport; its sockets are ``<ip>-<port>``.

    None where their paths would be longer than the system takes.
    """
    try:
        address = directory.join(kernel_id.replace("-", "")[:32])
    except OSError:
        return None
    return address if len(os.fsencode(address)) + len("-5") <= SOCKET_PATH_LIMIT else None


def takes_ipc(argv: list[str], metadata: Mapping[str, Any]) -> bool:
    """Whether a kernelspec's kernel takes the ipc transport.

    Known modules do; any other kernelspec can say so by ``"supported_transports": ["ipc", ...]`` in its metadata.
    """
    said = metadata.get("supported_transports")
    if isinstance(said, list):
        return "ipc" in said
    words = argv[1:]
    return any(word == "-m" and module in IPC_MODULES for word, module in pairwise(words))


def _port_taken(stderr: str) -> bool:
    return any(phrase in stderr.lower() for phrase in PORT_TAKEN)
