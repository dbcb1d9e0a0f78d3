"""Launcher interface: what a kernel needs of whatever runs it, processes, a gateway or memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from jupyterd.kernels.process.death import Death

KEEPER = "jupyterd-keeper"
"""The provisioner of the keeper's kernels, as a kernelspec may name it."""


@dataclass(frozen=True)
class Order:
    """A kernel to be run.

    :param kernel_id: its id, unique in this server.
    :param name: its kernelspec's name.
    :param cwd: its working directory; None for the daemon's own.
    :param env: its whole environment; None for the daemon's own.
    :param path: the API path it belongs to, for launchers whose kernels do not see our files.
    """

    kernel_id: str
    name: str
    cwd: str | None = None
    env: Mapping[str, str] | None = None
    path: str | None = None
    ask: Callable[[str, dict[str, Any]], None] | None = field(default=None, compare=False)
    """Sends a request of a type and content on the kernel's control channel, without waiting for its reply."""
    stopped: Callable[[], None] | None = field(default=None, compare=False)
    """Called when its process has ended as asked, before it is run again: what was sent must not reach the next."""


class KernelProcess(Protocol):
    """One kernel, over all its restarts."""

    @property
    def connection_info(self) -> dict[str, Any]:
        """Where its channels are, and their key: a connection file's content, the key as bytes."""

    @property
    def name(self) -> str:
        """The kernelspec's name, as the REST model gives it."""

    @property
    def metadata(self) -> Mapping[str, Any]:
        """The kernelspec's metadata."""

    @property
    def owned(self) -> bool:
        """Whether we started it, hence may stop it."""

    @property
    def autorestart(self) -> bool:
        """Whether it is started again when it dies."""

    @property
    def shutdown_wait_time(self) -> float:
        """Seconds it has to end by itself when it is stopped."""

    def resolve_path(self, path: str) -> str | None:
        """The absolute path of a file that the kernel calls ``path``, None where there is none; blocks."""

    def update_env(self, env: Mapping[str, str], cwd: str | None = None) -> None:
        """Variables for its next start, and its working directory then; None: the one that it has."""

    def prepare(self) -> None:
        """Have what its next start needs; the process that runs goes on.

        :raises JupyterdError: it can not be had, and what runs had better not be stopped.
        """

    async def start(self) -> None:
        """Run it.

        :raises JupyterdError: it can not be run.
        """

    def retry(self, death: Death) -> bool:
        """Whether a kernel that died like this before it ever answered may start otherwise; arranges for that."""

    async def restart(self, *, now: bool, new_ports: bool = False) -> None:
        """Stop it, unless it has ended, and run it again.

        :param now: kill it; else it is asked first.
        """

    async def stop(self, *, now: bool = False) -> None:
        """End it and what it started, and remove what it used.

        :param now: kill it; else it is asked first.
        """

    async def interrupt(self) -> None:
        """Interrupt what it runs, by signal or message as its kernelspec says."""


class Launcher(Protocol):
    """Launcher: where kernels come from."""

    async def process(self, order: Order, ended: Callable[[Death], None]) -> KernelProcess:
        """Prepare a kernel; nothing runs yet.

        :param ended: called each time that its process ends without having been asked to.
        :raises NoSuchKernelSpec: there is no kernelspec of that name.
        """
