"""Mirror of the kernels in the extension host: pushed to it in numbered updates, the events among them.

Extensions ask synchronously which kernels there are. A request that is forwarded carries the number of the last
update; the host answers it when it has taken that one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol


class Kernel(Protocol):
    """A kernel, as it is told of. See :class:`jupyterd.kernels.kernel.Kernel`."""

    id: str
    execution_state: str
    last_activity: float
    launched_at: float
    process: Any

    @property
    def connections(self) -> int:
        """Open websockets."""

    def model(self) -> dict[str, Any]:
        """The REST model."""


class Mirror:
    """Numbers what the host is told.

    :param kernels: all kernels, now.
    :param send: gives a message to the host.
    """

    def __init__(self, kernels: Callable[[], Iterable[Kernel]], send: Callable[[Mapping[str, Any]], None]) -> None:
        self._kernels = kernels
        self._send = send
        self._told: dict[str, tuple[Any, ...]] = {}
        self.number = 0

    def forget(self) -> None:
        """A new host knows nothing yet."""
        self._told.clear()

    def refresh(self) -> int:
        """Tell what has changed since the last time; the number of the last update."""
        changed: dict[str, Any] = {}
        seen = set()
        for kernel in self._kernels():
            seen.add(kernel.id)
            mark = (kernel.execution_state, kernel.last_activity, kernel.connections, kernel.launched_at)
            before = self._told.get(kernel.id)
            if before != mark:
                self._told[kernel.id] = mark
                changed[kernel.id] = _described(kernel, before is None or before[3] != mark[3])
        gone = [kernel_id for kernel_id in self._told if kernel_id not in seen]
        for kernel_id in gone:
            del self._told[kernel_id]
        if changed or gone:
            self.number += 1
            self._send({"do": "kernels", "n": self.number, "changed": changed, "gone": gone})
        return self.number

    def event(self, schema_id: str, data: Mapping[str, Any]) -> None:
        """Tell of an event; kernels first, as it may be about them."""
        self.refresh()
        self.number += 1
        self._send({"do": "event", "n": self.number, "schema_id": schema_id, "data": data})


def _described(kernel: Kernel, launched: bool) -> dict[str, Any]:
    described: dict[str, Any] = {"model": kernel.model()}
    if launched:
        described["connection"] = connection_of(kernel.process)
    return described


def connection_of(process: Any) -> dict[str, Any] | None:
    """A kernel's connection file; None where it has none (kernels of a gateway)."""
    try:
        info = dict(process.connection_info)
    except Exception:  # noqa: BLE001 - a provisioner's own, or a kernel without sockets: then it has none to tell
        return None
    key = info.get("key", b"")
    return {**info, "key": key.decode("latin-1") if isinstance(key, bytes) else key} if info else None
