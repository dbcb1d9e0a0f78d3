"""Transport to kernels: UNIX sockets where they take them, else TCP."""

from __future__ import annotations

import os
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from jupyterd.system.daemon_directory import Directory

IPC_MODULES = ("ipykernel_launcher", "ipykernel", "xpython", "xpython_launcher", "bash_kernel")
"""Python modules that run kernels which take the ipc transport as jupyter_client writes it."""

SOCKET_PATH_LIMIT = 103
"""Bytes that the path of a UNIX socket may have: 103 on macOS and BSD, 107 on Linux."""

PORT_TAKEN = ("address already in use", "address in use")


def takes_ipc(argv: list[str], metadata: Mapping[str, Any]) -> bool:
    """Whether a kernelspec's kernel takes the ipc transport.

    Known modules do; any other kernelspec can say so by ``"supported_transports": ["ipc", ...]`` in its metadata.
    """
    said = metadata.get("supported_transports")
    if isinstance(said, list):
        return "ipc" in said
    return any(word == "-m" and module in IPC_MODULES for word, module in pairwise(argv[1:]))


def replies_to_the_newest(argv: list[str]) -> bool:
    """Whether a kernel replies to who came last, where two say that they are the same client (``ROUTER_HANDOVER``).

    ipykernel and what is built on it do. Another kernel would not hear who comes second.
    """
    return any(word == "-m" and module.startswith(("ipykernel", "bash_kernel")) for word, module in pairwise(argv[1:]))


def socket_address(directory: Directory, kernel_id: str) -> str | None:
    """What a kernel's ``ip`` is for the ipc transport; its sockets are ``<ip>-<port>``.

    None where their paths would be longer than the system takes.
    """
    try:
        address = directory.join(kernel_id.replace("-", "")[:32])
    except OSError:
        return None
    return address if len(os.fsencode(address)) + len("-5") <= SOCKET_PATH_LIMIT else None


def port_taken(stderr: str) -> bool:
    """Whether a kernel died because somebody else had its port."""
    return any(phrase in stderr.lower() for phrase in PORT_TAKEN)
