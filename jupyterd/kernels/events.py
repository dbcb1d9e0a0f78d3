"""Events of kernels, told to the event bus."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jupyterd.kernels.process.death import Death

ACTIONS = "https://events.jupyter.org/jupyter_server/kernel_actions/v1"
DEATHS = "https://events.jupyter.org/jupyterd/kernel_death/v1"


@dataclass(frozen=True)
class KernelEvents:
    """Puts what happens to kernels into events.

    :param emit: takes a schema's id and an event's data.
    """

    emit: Callable[[str, dict[str, Any]], None]

    def done(self, action: str, name: str, kernel_id: str, words: str) -> None:
        """An action (``start``, ``interrupt``, ``restart``, ``shutdown``) succeeded; ``words`` as in "was ...ed"."""
        self._tell(action, "success", f"Kernel {kernel_id} was {words}.", name, kernel_id)

    def failed(self, action: str, name: str, kernel_id: str, error: Exception) -> None:
        """An action failed."""
        self._tell(action, "error", str(error), name, kernel_id)

    def _tell(self, action: str, status: str, message: str, name: str, kernel_id: str) -> None:
        data = {"action": action, "status": status, "msg": message, "kernel_name": name, "kernel_id": kernel_id}
        self.emit(ACTIONS, data)

    def death(self, name: str, kernel_id: str, death: Death, restarting: bool) -> None:
        """A kernel ended although nobody had asked for it."""
        data = {
            "kernel_id": kernel_id,
            "kernel_name": name,
            "status": death.status,
            "signal": death.signal,
            "out_of_memory": death.out_of_memory,
            "stderr": death.stderr,
            "restarting": restarting,
        }
        self.emit(DEATHS, data)
