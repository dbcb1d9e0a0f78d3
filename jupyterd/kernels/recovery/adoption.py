"""Adoption of a former daemon's kernels: found by the state file and at the keeper, taken where they live."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from twisted.logger import Logger

from jupyterd.errors import JupyterdError
from jupyterd.keeper.processes import is_same
from jupyterd.kernels.process.death import Death, Tail
from jupyterd.state.store import Process

if TYPE_CHECKING:
    from jupyterd.kernels.manager import MappingKernelManager
    from jupyterd.kernels.process.process_launcher import ProcessLauncher
    from jupyterd.state.surviving import Kept
    from jupyterd.system.threads import InThread

ENDED_UNSEEN = "The kernel ended while no server was running."
KERNEL = "kernel:"
"""What the keeper's names of kernels begin with."""


class Recovery:
    """Finds the kernels of a former daemon again."""

    log = Logger()

    def __init__(
        self, kept: Kept, in_thread: InThread, kernels: MappingKernelManager, launcher: ProcessLauncher
    ) -> None:
        self._kept, self._in_thread, self._kernels, self._launcher = kept, in_thread, kernels, launcher

    async def find(self, children: Mapping[str, Mapping[str, Any]], listened: Collection[str]) -> None:
        """Find all.

        :param children: the keeper's, by their names.
        :param listened: the ids of the kernels that it listens to.
        """
        rows = {row.key: row for row in await self._in_thread(lambda: self._kept.store.kernels())}
        for name, child in children.items():
            kernel_id = name.removeprefix(KERNEL)
            info = child.get("info") or {}
            if name.startswith(KERNEL) and kernel_id not in rows and info.get("id") == kernel_id:
                self.log.warn("kernel {kernel_id} is in no state file; its keeper has it", kernel_id=kernel_id)
                rows[kernel_id] = Process(kernel_id, info, child["pid"], child["started"], self._kept.boot)
        for row in rows.values():
            try:
                await self._find(row, children.get(KERNEL + row.key), listened)
            except Exception:  # noqa: BLE001 - the others are found all the same
                self.log.failure("kernel {kernel_id} can not be found again", kernel_id=row.key)

    async def _find(self, row: Process, child: Mapping[str, Any] | None, listened: Collection[str]) -> None:
        record = row.record
        if child is None and row.pid is not None and row.boot != self._kept.boot:
            self.log.info("kernel {kernel_id} ended with the machine", kernel_id=row.key)
            await self._in_thread(lambda: self._kept.store.remove_kernel(row.key))
            return
        env = self._environment(record)
        kernel, order, ended = self._kernels.recall(row.key, record["name"], record["cwd"], env, record["path"])
        process = await self._launcher.recall(order, record, ended)
        lives, reason = await self._take(process, row, child)
        await self._kernels.recalled(kernel, process, lives, reason, row.key in listened)
        self.log.info(
            "kernel {kernel_id} is found again{how}", kernel_id=row.key, how="" if lives else f", dead: {reason}"
        )

    def _environment(self, record: Mapping[str, Any]) -> dict[str, str] | None:
        return None if record["env"] is None else {**os.environ, **record["env"]}

    async def _take(self, process: Any, row: Process, child: Mapping[str, Any] | None) -> tuple[bool, str]:
        """Whether it lives, and why not."""
        keeper = self._kept.keeper
        if row.record.get("provisioner"):
            lives = await process.take_foreign(row.record["provisioner"])
            return lives, "" if lives else ENDED_UNSEEN
        if child is not None and not child["running"]:
            keeper.say("forget", name=child["name"])
            return False, _reason(child["status"], child["tail"].encode("latin-1"))
        if child is not None:
            kept = await keeper.recall(dict(child))
        elif row.pid is not None and row.started is not None and is_same(row.pid, row.started):
            model = {"name": KERNEL + row.key, "kind": "kernel", "pid": row.pid, "started": row.started}
            model["info"] = row.record
            try:
                kept = await keeper.adopt(model)
            except JupyterdError:
                return False, row.record.get("reason") or ENDED_UNSEEN
        else:
            return False, row.record.get("reason") or ENDED_UNSEEN
        if not kept.running:
            keeper.forget(kept)
            return False, _reason(kept.status, kept.tail)
        await process.take(kept)
        return True, ""


def _reason(status: int | None, tail: bytes) -> str:
    """Why a kernel ended, by its status and the end of its standard error."""
    lines = Tail()
    for _ in (*lines.feed(tail), *lines.flush()):
        pass
    return Death(status, stderr=str(lines)).reason
