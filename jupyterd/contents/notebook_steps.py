"""Steps of others on a notebook while it is read, saved or changed here, in whichever process that happens."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol

MARK = "jupyterd_outputs"
"""In a notebook's metadata as clients get it: how much of what the server wrote it has. Never on disk."""


@dataclass
class Step:
    """A function to be run on a notebook's content.

    :param function: ``module:name`` of a coroutine function of the manager, the path, the content, which it changes,
        and ``given``.
    :param given: JSON.
    :ivar size: bytes, roughly, by which the notebook may grow.
    :ivar report: what it returned, JSON too; its ``changed`` says whether the content was.
    """

    function: str
    given: dict[str, Any]
    report: dict[str, Any] | None = None
    size: int = 0

    async def run(self, manager: Any, path: str, content: dict[str, Any], mark: Any = None) -> bool:
        """Run it; whether the content was changed.

        :param mark: :data:`MARK` of the content, where a client sent it.
        """
        module, _, name = self.function.partition(":")
        function = getattr(import_module(module), name)
        self.report = await function(manager, path, content, {**self.given, "mark": mark})
        return bool((self.report or {}).get("changed"))


class CellOutputs(Protocol):
    """Who brings outputs into notebooks that no page brought there."""

    def mark(self, path: str) -> int | None:
        """What a notebook that is read is marked with; None for no mark."""

    async def opening(self, path: str) -> None:
        """A notebook is about to be read by a client."""

    async def saving(self, path: str) -> Step | None:
        """What is to be done to a notebook that a client saves; None for nothing."""

    def saved(self, path: str, step: Step) -> None:
        """It was saved, with that done."""

    def moved(self, path: str, new_path: str) -> None:
        """A file or directory has another name."""
