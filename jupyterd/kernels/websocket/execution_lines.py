"""Lines of an execution as they come: one JSON document each, then how it ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from twisted.logger import Logger
from zope.interface import implementer

from jupyterd.kernels.channels.executions import Execution
from jupyterd.web.self_writing_reply import Served

if TYPE_CHECKING:
    from jupyterd.web.server.request import Request

BATCH = 100


@implementer(IPushProducer)
class ExecutionLines(Served):
    """``application/x-ndjson``: each line a message, the last one the execution without messages.

    A client that reads slowly is written to as slowly; what it has not read stays in the kernel's log.
    """

    log = Logger()

    def __init__(self, execution: Execution, since: int) -> None:
        self._execution = execution
        self._since = since
        self._resumed: Deferred[None] | None = None
        self._gone = False

    def serve(self, request: Request) -> None:
        """See :class:`Served`."""
        request.setHeader(b"content-type", b"application/x-ndjson")
        request.setHeader(b"cache-control", b"no-cache")
        request.notifyFinish().addErrback(lambda _: self.stopProducing())
        request.registerProducer(self, True)
        Deferred.fromCoroutine(self._write(request)).addErrback(
            lambda failure: self.log.failure("an execution's stream failed", failure)
        )

    async def _write(self, request: Any) -> None:
        execution = self._execution
        while not self._gone:
            over = execution.over
            found = await execution.messages(self._since, BATCH)
            for message in found:
                await self._line(request, message)
                self._since = message["seq"] + 1
            if not found:
                if over:
                    break
                await execution.change()
        if not self._gone:
            await self._line(request, execution.model())
            request.unregisterProducer()
            request.finish()

    async def _line(self, request: Any, value: Any) -> None:
        if self._resumed is not None:
            await self._resumed
        if not self._gone:
            request.write(orjson.dumps(value) + b"\n")

    def pauseProducing(self) -> None:
        """The client reads slowly."""
        if self._resumed is None:
            self._resumed = Deferred()

    def resumeProducing(self) -> None:
        """Write on."""
        resumed, self._resumed = self._resumed, None
        if resumed is not None:
            resumed.callback(None)

    def stopProducing(self) -> None:
        """The client is gone."""
        self._gone = True
        self.resumeProducing()
