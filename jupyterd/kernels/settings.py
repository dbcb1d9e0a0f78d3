"""Settings of kernels, under the class names that operators already write."""

from __future__ import annotations

import os
from typing import Any

from traitlets import (
    Bool,
    CaselessStrEnum,
    DottedObjectName,
    Float,
    Integer,
    List,
    TraitError,
    Unicode,
    default,
    validate,
)
from traitlets.config import Config, LoggingConfigurable

from jupyterd.kernels.channels.policy import UNTRACKED

CULL_INTERVAL = 300


class MultiKernelManager(LoggingConfigurable):
    """Which kernels are started and by which class."""

    default_kernel_name = Unicode("python3", help="The kernel to start where the request names none.").tag(config=True)

    kernel_manager_class = DottedObjectName(
        "jupyterd.kernels.ServerKernelManager",
        help="The class that starts and stops one kernel: a subclass of jupyter_client's AsyncKernelManager.",
    ).tag(config=True)

    shared_context = Bool(
        True, help="Accepted for compatibility: all kernels share one ZeroMQ context whatever it says."
    ).tag(config=True)


class AsyncMultiKernelManager(MultiKernelManager):
    """What the asynchronous class of jupyter_client adds."""

    use_pending_kernels = Bool(
        False, help="Whether a kernel is listed, and its request answered, before its process has started."
    ).tag(config=True)


class MappingKernelSettings(AsyncMultiKernelManager):
    """All settings of ``MappingKernelManager``. Times are seconds."""

    root_dir = Unicode(help="The directory that kernels' paths are relative to; the server's root_dir by default.").tag(
        config=True
    )

    @default("root_dir")
    def _default_root_dir(self) -> str:
        return str(getattr(self.parent, "root_dir", "")) or os.getcwd()

    @validate("root_dir")
    def _absolute_root_dir(self, proposal: Any) -> str:
        path = os.path.abspath(str(proposal["value"]))
        if not os.path.isdir(path):
            raise TraitError(f"kernel root dir {path!r} is not a directory")
        return path

    transport_encryption = CaselessStrEnum(
        ["disabled", "auto", "required"],
        default_value="disabled",
        help="CurveZMQ for all kernels: never, where the kernelspec declares it, or else the kernel does not start.",
    ).tag(config=True)

    cull_idle_timeout = Integer(
        0,
        help="How long a kernel may be idle before it is shut down; 0 never. A kernelspec's metadata may differ.",
    ).tag(config=True)

    cull_interval = Integer(CULL_INTERVAL, help="How often idle kernels are looked for.").tag(config=True)

    cull_connected = Bool(False, help="Whether idle kernels with open websockets are shut down too.").tag(config=True)

    cull_busy = Bool(False, help="Whether kernels that are busy, yet silent for so long, are shut down too.").tag(
        config=True
    )

    buffer_offline_messages = Bool(
        True, help="Whether what a kernel says is kept for a session whose websocket is away."
    ).tag(config=True)

    kernel_info_timeout = Float(60, help="How long a kernel may take to answer after its start or restart.").tag(
        config=True
    )

    allowed_message_types = List(Unicode(), help="The message types that clients may send; all where it is empty.").tag(
        config=True
    )

    allow_tracebacks = Bool(True, help="Whether clients see the tracebacks of exceptions.").tag(config=True)

    traceback_replacement_message = Unicode(
        "An exception occurred at runtime, which is not shown due to security reasons.",
        help="What they see instead.",
    ).tag(config=True)

    untracked_message_types = List(
        Unicode(), sorted(UNTRACKED), help="The message types that do not count as activity of a kernel."
    ).tag(config=True)

    startup_check_timeout = Float(
        1.0,
        help="How long an answer waits for a new kernel's first word, so that a kernel which can not start is an error "
        "with its standard error in it. 0 answers as soon as the process runs.",
    ).tag(config=True)

    dead_kernel_timeout = Float(
        3600.0, help="How long a dead kernel stays listed, with its reason; it can be restarted until then."
    ).tag(config=True)


class KernelRestarter(LoggingConfigurable):
    """When a kernel that died is started again. Times are seconds."""

    restart_limit = Integer(5, help="Automatic restarts in a row before the kernel is given up.").tag(config=True)

    stable_start_time = Float(10.0, help="A kernel that lived so long is not counted as failing in a row.").tag(
        config=True
    )

    random_ports_until_alive = Bool(
        True, help="Whether a kernel that died before it ever answered gets new ports."
    ).tag(config=True)

    time_to_dead = Float(
        3.0, help="How often remote kernels' provisioners are asked whether they live; local deaths are events."
    ).tag(config=True)

    debug = Bool(False, help="Accepted for compatibility; nothing is polled.").tag(config=True)


def with_sections(config: Config, name: str, *others: str) -> Config:
    """The configuration with what is written for the classes ``others`` counting for the class ``name`` too."""
    merged = Config()
    for other in others:
        if other in config:
            merged.merge(Config({name: config[other]}))
    merged.merge(config)
    return merged
