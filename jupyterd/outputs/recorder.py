"""The outputs of all kernels' cells: which are not in their notebooks yet, and when they are written there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from jupyterd.kernels.kernel import isoformat
from jupyterd.outputs.executions import clean
from jupyterd.outputs.kernel_record import KernelRecord

if TYPE_CHECKING:
    from jupyterd.kernels.channels.kernel_channels import KernelChannels
    from jupyterd.outputs.settings import OutputRecorder
    from jupyterd.system.threads import InThread

OPENING = 30.0
"""Seconds that a page which has just read a notebook has to ask which of its cells run."""


class Recorder(Service):
    """All kernels' records.

    :param notebooks: the paths of the notebooks that run on a kernel, by its id.
    """

    log = Logger()

    def __init__(
        self,
        settings: OutputRecorder,
        clock: IReactorTime,
        in_thread: InThread,
        notebooks: Callable[[str], Awaitable[list[str]]],
    ) -> None:
        self._settings, self._clock, self._in_thread = settings, clock, in_thread
        self._notebooks = notebooks
        self._records: dict[str, KernelRecord] = {}
        self._timers: dict[KernelRecord, IDelayedCall] = {}

    # -- for kernels

    def of(self, channels: KernelChannels) -> KernelRecord:
        """The record of a new kernel."""
        record = KernelRecord(channels, self, self._settings, self._in_thread, self._clock.seconds)
        self._records[record.kernel_id] = record
        return record

    async def paths_of(self, kernel_id: str) -> list[str]:
        """See :class:`jupyterd.outputs.kernel_record.Overseer`."""
        return [clean(path) for path in await self._notebooks(kernel_id)]

    def changed(self, record: KernelRecord) -> None:
        """See :class:`jupyterd.outputs.kernel_record.Overseer`."""

    def closing(self, record: KernelRecord) -> Deferred[None]:
        """See :class:`jupyterd.outputs.kernel_record.Overseer`."""
        return Deferred.fromCoroutine(record.finish())

    # -- for pages

    async def executions(self, kernel_id: str, path: str | None, client: str | None) -> dict[str, Any]:
        """What runs, waits or has ended and is in no file yet; see the documentation's page on outputs.

        :param path: of this notebook alone.
        :param client: the session of a page that shows them from now on.
        """
        record = self._records[kernel_id]
        await record.refresh_paths()
        record.opened = self._clock.seconds() + OPENING
        wanted = [each for each in record.executions.values() if each.visible and each.cell_id is not None]
        if path is not None:
            of_path = record.of_path(clean(path))
            wanted = [each for each in wanted if each in of_path]
        fence = None
        if client:
            for execution in wanted:
                record.attend(client, execution)
            fence = record.fence(client)
        said = await record.outputs(wanted)
        models = [record.model(each, said.get(each.id, ([], None, None))) for each in wanted]
        for model in models:
            for name in ("started", "ended"):
                model[name] = None if model[name] is None else isoformat(model[name])
        return {"kernel_id": kernel_id, "fence": fence, "executions": models}
