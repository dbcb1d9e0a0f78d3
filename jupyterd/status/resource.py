"""``/api``, ``/api/status``, ``/api/spec.yaml``, ``/api/shutdown``, ``/metrics``, ``/healthz``, ``/readyz``."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from twisted.logger import Logger

from jupyterd.status.activity import Activity
from jupyterd.status.metrics import Metrics
from jupyterd.status.version import API_VERSION
from jupyterd.system.threads import InThread, NoThread
from jupyterd.web.api import Routes, json_api
from jupyterd.web.call import Call, Reply
from jupyterd.web.files import FileReply

SPEC = os.path.join(os.path.dirname(__file__), "openapi.yaml")
PLAIN = "text/plain; charset=utf-8"


@dataclass
class StatusResource:
    """The server about itself.

    :param kernels: how many kernels run.
    :param connections: open websockets to kernels.
    :param stop: ends the daemon, soon; told what the client wants to become of kernels, None where it does not say.
    :param more_metrics: those of server extensions, in Prometheus's text format; None where there are none.
    :param look_at_activity: brings ``activity`` up to date about server extensions; None where there are none.
    :param ready: whether the daemon takes work: it has started, is not about to end, and has
        threads.
    """

    app = Routes()
    api = json_api(app)
    log = Logger()

    activity: Activity
    metrics: Metrics
    kernels: Callable[[], int]
    connections: Callable[[], int]
    stop: Callable[[str | None], None]
    ready: Callable[[], bool]
    in_thread: InThread
    more_metrics: Callable[[], Awaitable[bytes] | None] = lambda: None
    look_at_activity: Callable[[], Awaitable[None] | None] = lambda: None

    @api(("GET", "HEAD"), "/api")
    @api(("GET", "HEAD"), "/api/")
    async def version(self, call: Call) -> object:
        """The version of the API; the one thing that is told to everybody."""
        return {"version": API_VERSION}

    @api(("GET", "HEAD"), "/api/status")
    async def status(self, call: Call) -> object:
        """How much runs, and when it was last used."""
        if (looked := self.look_at_activity()) is not None:
            await looked
        return {
            "connections": self.connections(),
            "kernels": self.kernels(),
            "last_activity": self.activity.text(self.activity.last()),
            "started": self.activity.text(self.activity.started),
        }

    @api(("GET", "HEAD"), "/api/spec.yaml")
    async def spec(self, call: Call) -> object:
        """The API's description."""
        return FileReply(SPEC, "text/x-yaml")

    @api("POST", "/api/shutdown")
    async def shutdown(self, call: Call) -> object:
        """End the server, and all kernels with it, unless ``kernels=keep`` or the operator says otherwise."""
        self.log.info("shutting down: asked for by a client")
        self.stop(call.arg("kernels"))
        return Reply(b"", PLAIN)

    @api(("GET", "HEAD"), "/metrics")
    async def prometheus(self, call: Call) -> object:
        """Metrics."""
        more = self.more_metrics()
        accept = (call.header("accept") or "") if more is None else PLAIN  # the format that theirs are in
        self.metrics.look()
        body, media_type = await self.in_thread(self.metrics.render, accept)
        if more is not None:
            body += await more
        return Reply(body, media_type)

    @api(("GET", "HEAD"), "/healthz")
    async def alive(self, call: Call) -> object:
        """The process lives, its reactor turns and its threads work; having none for want of processes is no defect."""
        with suppress(NoThread):
            await self.in_thread(lambda: None)
        return Reply(b"ok\n", PLAIN, headers={"Cache-Control": "no-store"})

    @api(("GET", "HEAD"), "/readyz")
    async def takes_work(self, call: Call) -> object:
        """Whether to send work here: 200 or 503."""
        ready = self.ready()
        return Reply(b"ok\n" if ready else b"not ready\n", PLAIN, 200 if ready else 503, {"Cache-Control": "no-store"})
