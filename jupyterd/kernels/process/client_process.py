"""Client process: one kernel, run by jupyter_client: launched, watched, interrupted, restarted, ended."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from copy import copy
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from twisted.logger import Logger

from jupyterd.errors import FULL, SCARCE, Failed, JupyterdError, OutOfSpace, Unavailable, shortage
from jupyterd.kernels.process.death import Death, oom_counter, oom_kills
from jupyterd.kernels.process.exit_watch import KeptStandardError, KeptWatch, PollingWatch, ProcessWatch, StandardError
from jupyterd.kernels.process.launch_rules import LaunchRules
from jupyterd.kernels.process.launcher_interface import KEEPER, Order
from jupyterd.kernels.process.provisioner_record import from_json, to_json
from jupyterd.kernels.process.transport import port_taken, replies_to_the_newest, socket_address
from jupyterd.kernels.settings import with_sections
from jupyterd.system.asyncio_bridge import from_asyncio
from jupyterd.system.processes.process_room import check_process_room

if TYPE_CHECKING:
    from jupyterd.state.kept_child import KeptChild


class ClientProcess:
    """Kernel process under a jupyter_client kernel manager; see :class:`KernelProcess`."""

    log = Logger()
    owned = True

    def __init__(
        self,
        rules: LaunchRules,
        order: Order,
        spec: Any,
        ended: Callable[[Death], None],
        record: Mapping[str, Any] | None = None,
    ) -> None:
        self._rules = rules
        self._order = order
        self._spec = spec
        self._ended = ended
        self._stopping = False
        self._retries = 0
        self._spent: list[Any] = []
        self._stderr: StandardError | KeptStandardError | None = None
        self._watch: ProcessWatch | PollingWatch | KeptWatch | None = None
        self._oom: tuple[str, int] | None = None
        self._env = None if order.env is None else dict(order.env)
        self._cwd = order.cwd
        self._identity = uuid4().hex
        self._provisioner_info: dict[str, Any] | None = None
        if record is None:
            self._manager = self._new_manager(rules.transport_of(spec))
        else:
            self._identity = str(record["identity"])
            self._manager = self._new_manager(None)
            self._remind(record)

    # -- what it is

    @property
    def connection_info(self) -> dict[str, Any]:
        """See :class:`KernelProcess`; with what names us to the kernel, which replies to that name."""
        info = dict(self._manager.get_connection_info())
        return {**info, "client_identity": self._identity, "client_handover": replies_to_the_newest(self._spec.argv)}

    @property
    def record(self) -> dict[str, Any]:
        """What the next daemon needs to go on with it, as JSON has it."""
        info = {
            name: value.decode() if isinstance(value, bytes) else value
            for name, value in self._manager.get_connection_info().items()
        }
        env = None if self._env is None else {k: v for k, v in self._env.items() if os.environ.get(k) != v}
        return {
            "id": self._order.kernel_id,
            "name": self._order.name,
            "cwd": self._cwd,
            "path": self._order.path,
            "env": env,
            "connection": info,
            "identity": self._identity,
            "provisioner": self._provisioner_info,
        }

    def _remind(self, record: Mapping[str, Any]) -> None:
        """Set what a start would have set."""
        manager = self._manager
        manager.load_connection_info(dict(record["connection"]))
        manager.kernel_id = self._order.kernel_id
        manager._attempted_start = manager._connection_file_written = True
        kwargs: dict[str, Any] = {"env": self._env} if self._env is not None else {}
        if self._order.cwd is not None:
            kwargs["cwd"] = self._order.cwd
        manager._launch_args = kwargs
        manager.provisioner = self._new_provisioner()
        manager.provisioner.connection_info = manager.get_connection_info()

    def _new_provisioner(self) -> Any:
        from jupyter_client.provisioning.factory import KernelProvisionerFactory

        factory = KernelProvisionerFactory.instance(parent=self._rules.settings)
        manager = self._manager
        return factory.create_provisioner_instance(self._order.kernel_id, manager.kernel_spec, parent=manager)

    async def take(self, child: KeptChild) -> None:
        """Go on with a process that a former daemon started: ``child`` runs, or has ended and that is not told yet."""
        self._manager.provisioner.recall(child, self._order.cwd)
        self._stderr = KeptStandardError(self._rules.reactor, self._order.kernel_id)
        self._watch_process()

    async def take_foreign(self, info: dict[str, Any]) -> bool:
        """The same where somebody else's provisioner runs it; whether it still does."""
        provisioner = self._manager.provisioner
        await from_asyncio(provisioner.load_provisioner_info(from_json(info)))
        self._provisioner_info = info
        if not provisioner.has_process or await from_asyncio(provisioner.poll()) is not None:
            return False
        self._watch_process()
        return True

    def let_go(self) -> None:
        """Leave it to the next daemon."""
        self._stopping = True
        if self._watch is not None:
            self._watch.stop()
            self._watch = None
        if self._stderr is not None:
            self._stderr.close()
            self._stderr = None

    @property
    def child(self) -> KeptChild | None:
        """The keeper's child that it is; None where it is none."""
        child: KeptChild | None = getattr(getattr(self._manager.provisioner, "process", None), "child", None)
        return child

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
    def kept(self) -> bool:
        """Whether it is a child of the keeper."""
        return self._rules.is_kept(self._spec)

    @property
    def transport(self) -> str:
        """``ipc`` or ``tcp``."""
        return str(self._manager.transport)

    def resolve_path(self, path: str) -> str | None:
        """See :class:`KernelProcess`."""
        provisioner = self._manager.provisioner
        resolve = getattr(provisioner, "resolve_path", None)
        return None if resolve is None else resolve(path)

    def update_env(self, env: Mapping[str, str], cwd: str | None = None) -> None:
        """See :class:`KernelProcess`."""
        if self._env is not None:
            self._env.update(env)
        self._cwd = cwd or self._cwd

    @property
    def _connection_file(self) -> str:
        return os.path.join(self._rules.connection_dir, f"kernel-{self._order.kernel_id}.json")

    # -- its life

    def prepare(self) -> None:
        """See :class:`KernelProcess`: directories may have been cleaned away, and its program, since it was started.

        One process more is needed than there will be in the end: what ends gives room to whoever comes first.
        """
        local = self.kept or self._rules.is_local(self._spec)
        program = self._spec.argv[0] if self._spec.argv else ""
        if local and os.path.isabs(program) and not os.access(program, os.X_OK):
            raise Failed(f"The kernel can not be started: there is no program {program}")
        try:
            if local:
                check_process_room()
            os.makedirs(self._rules.connection_dir, mode=0o700, exist_ok=True)
            self._see_to_sockets()
            if self._manager.has_kernel and not os.path.exists(self._connection_file):
                self._manager.write_connection_file(jupyter_session=(self._env or {}).get("JPY_SESSION_NAME", ""))
        except OSError as error:
            raise self._named(error) from error

    def _see_to_sockets(self) -> None:
        """Have the directory of its sockets; elsewhere, where that can not be made again."""
        if not self._in_sockets:
            return
        address = socket_address(self._rules.sockets, self._order.kernel_id)
        if address is None:
            raise FileNotFoundError(errno.ENOENT, "there is no directory for its sockets")
        if address != self._manager.ip:
            self._manager.ip = address
            self._manager.cleanup_connection_file()

    def _named(self, error: OSError) -> JupyterdError:
        if error.errno in FULL:
            return OutOfSpace(f"No space left on device: {self._order.kernel_id} can not be started")
        if error.errno in SCARCE:
            return Unavailable(f"The system has no process for a kernel just now: {error.strerror}")
        return Failed(f"The kernel can not be started: {error}")

    async def start(self) -> None:
        """See :class:`KernelProcess`."""
        self.prepare()
        while self._spent:
            await from_asyncio(self._spent.pop().cleanup_resources())
        kwargs = self._launch_kwargs()
        if self._rules.settings.transport_encryption != "disabled":
            kwargs["transport_encryption"] = self._rules.settings.transport_encryption
        await self._launch(self._manager.start_kernel(kernel_id=self._order.kernel_id, **kwargs))

    async def restart(self, *, now: bool, new_ports: bool = False) -> None:
        """See :class:`KernelProcess`."""
        self.prepare()
        self._stopping = True
        kwargs = self._launch_kwargs()
        await self._launch(self._manager.restart_kernel(now=now, newports=new_ports, **kwargs))

    async def _launch(self, starting: Awaitable[Any]) -> None:
        if not self.kept:
            with suppress(OSError):  # it is noted already, or can not be: nobody needs it now
                self._rules.notes.note(self._connection_file)
        try:
            await from_asyncio(starting)
        except JupyterdError:
            raise
        except Exception as error:  # what a provisioner raises is its own
            said = self._stderr.drain() if self._stderr is not None else ""
            await self._clean_up(shut_down=False)
            if isinstance(error, OSError) and shortage(error.errno):
                raise self._named(error) from error
            raise Failed(f"{error}\n{said}" if said else str(error)) from error
        self._stopping = False
        if not self.kept:
            self._provisioner_info = to_json(await from_asyncio(self._manager.provisioner.get_provisioner_info()))
        self._watch_process()

    def _launch_kwargs(self) -> dict[str, Any]:
        if self._stderr is not None:
            self._stderr.close()
            self._stderr = None
        kwargs: dict[str, Any] = {} if self._env is None else {"env": self._env}
        local = self.kept or self._rules.is_local(self._spec)
        if self._cwd is not None:
            kwargs["cwd"] = _existing(self._cwd) if local else self._cwd
        if local:
            kind = KeptStandardError if self.kept else StandardError
            self._stderr = kind(self._rules.reactor, self._order.kernel_id)
            kwargs.update(self._stderr.kwargs)
        return kwargs

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
            child = getattr(process, "child", None)
            if child is not None and isinstance(self._stderr, KeptStandardError):
                self._stderr.launched(child)
                self._watch = KeptWatch(child, self._exited)
            else:
                if isinstance(self._stderr, StandardError):
                    self._stderr.launched()
                self._watch = ProcessWatch(self._rules.reactor, process, self._exited)
        else:
            interval = self._rules.restarter.time_to_dead
            self._watch = PollingWatch(self._rules.reactor, provisioner.poll, interval, self._exited)

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
        if self.transport == "ipc" and self._rules.configured("transport") is None:
            self.log.info(
                "kernel {kernel_id} does not start with the ipc transport, trying tcp", kernel_id=self._order.kernel_id
            )
        elif self.transport == "tcp" and self._retries < 3 and port_taken(death.stderr):
            self._retries += 1
        else:
            return False
        self._forget_manager()
        self._spent.append(self._manager)
        self._manager = self._new_manager("tcp")
        return True

    async def stop(self, *, now: bool = False) -> None:
        """See :class:`KernelProcess`."""
        self._stopping = True
        shut_down = False
        try:
            if self._manager.has_kernel:
                await from_asyncio(self._manager.shutdown_kernel(now=now))
                shut_down = True
        finally:
            await self._clean_up(shut_down)

    async def _clean_up(self, shut_down: bool) -> None:
        """:param shut_down: its provisioner was told already."""
        provisioner = self._manager.provisioner
        if not shut_down and provisioner is not None and not provisioner.has_process and provisioner.connection_info:
            await from_asyncio(self._manager.cleanup_resources())
        if self._watch is not None:
            self._watch.stop()
            self._watch = None
        if self._stderr is not None:
            self._stderr.drain()
            self._stderr.close()
            self._stderr = None
        self._forget_manager()
        self._rules.notes.strike(self._connection_file)

    def _forget_manager(self) -> None:
        self._manager.cleanup_connection_file()
        with suppress(OSError):  # it may be there though it could not be written
            os.unlink(self._connection_file)
        self._manager.cleanup_ipc_files()

    async def interrupt(self) -> None:
        """See :class:`KernelProcess`."""
        await from_asyncio(self._manager.interrupt_kernel())

    # -- making it

    def _new_manager(self, transport: str | None) -> Any:
        rules = self._rules
        traits: dict[str, Any] = {}
        if transport == "ipc" and (address := socket_address(rules.sockets, self._order.kernel_id)) is not None:
            traits = {"transport": "ipc", "ip": address}
        self._in_sockets = bool(traits)
        manager = rules.kernel_class(
            parent=rules.settings,
            config=with_sections(
                rules.settings.config, "ServerKernelManager", "IOLoopKernelManager", "AsyncIOLoopKernelManager"
            ),
            connection_file=self._connection_file,
            kernel_name=self._order.name,
            kernel_spec_manager=rules.specs.client,
            **traits,
        )
        manager._kernel_spec = self._spec
        if self.kept:
            self._have_kept(manager)
        manager.ask = self._order.ask
        manager.stopped = self._order.stopped
        self._autorestart = manager.autorestart
        manager.autorestart = False  # its restarter polls; the end of the process is an event here
        return manager

    def _have_kept(self, manager: Any) -> None:
        """Have the keeper run it: by its provisioner, where the kernelspec says nothing else."""
        from jupyter_client.provisioning.factory import KernelProvisionerFactory

        from jupyterd.kernels.process.keeper_provisioner import register

        register(KernelProvisionerFactory.instance(parent=self._rules.settings))
        spec = copy(self._spec)
        spec.metadata = {**(spec.metadata or {}), "kernel_provisioner": {"provisioner_name": KEEPER, "config": {}}}
        manager._kernel_spec = spec
        manager.keeper = self._rules.keeper
        manager.kept = lambda: self.record


def _existing(directory: str) -> str:
    """A directory, or the nearest above it: it may have been moved or removed since the kernel was started."""
    while not os.path.isdir(directory) and (parent := os.path.dirname(directory)) != directory:
        directory = parent
    return directory
