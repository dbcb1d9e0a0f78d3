"""``/api/contents/<notebook>/run`` and ``/runs``: run a notebook on the server, and see how far it is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote

from jupyterd.errors import Forbidden, Invalid, MethodNotAllowed
from jupyterd.outputs.runs.runs import Runs, order_of
from jupyterd.web.call import Call, Reply, encode

NOTEBOOK = ".ipynb"


class RunRoutes:
    """What the contents' resource asks for paths that end so.

    :param may_execute: whether who asks may run code.
    """

    def __init__(self, runs: Runs, may_execute: Callable[[Call], Awaitable[bool]]) -> None:
        self._runs, self._may_execute = runs, may_execute

    def knows(self, path: str) -> bool:
        """Whether a path is of a notebook's runs, and not of a file."""
        return _split(path) is not None

    async def answer(self, call: Call, path: str) -> Reply | None:
        """See :meth:`knows`; the answer."""
        notebook, verb, run_id = _split(path) or ("", "", None)
        await self._runs.recall()
        if verb == "run":
            return await self._start(_only(call, "POST"), notebook)
        if run_id is None:
            _only(call, "GET")
            return _reply([run.model() for run in self._runs.all(notebook)])
        run = self._runs.get(notebook, run_id)
        if _only(call, "GET", "DELETE").method == "GET":
            return _reply(run.model())
        await self._check(call)
        await self._runs.cancel(run)
        return Reply(status=204)

    async def _start(self, call: Call, notebook: str) -> Reply:
        await self._check(call)
        body = await call.json_object()
        key = body.pop("idempotency_key", call.header("idempotency-key"))
        if key is not None and (not isinstance(key, str) or not 0 < len(key) <= 255):
            raise Invalid("idempotency_key must be a string of 1 to 255 characters")
        run, new = await self._runs.add(notebook, order_of(body), key)
        location = quote(f"{run.path}/runs/{run.id}".encode("utf-8", "surrogateescape"))
        return _reply(run.model(), 202 if new else 200, {"Location": f"{call.base_url}api/contents/{location}"})

    async def _check(self, call: Call) -> None:
        if not await self._may_execute(call):
            raise Forbidden("User is not authorized to execute on resource: kernels.")


def _split(path: str) -> tuple[str, str, str | None] | None:
    parent, _, last = path.strip("/").rpartition("/")
    if parent.endswith(NOTEBOOK) and last in ("run", "runs"):
        return parent, last, None
    above, _, before = parent.rpartition("/")
    if above.endswith(NOTEBOOK) and before == "runs":
        return above, before, last
    return None


def _only(call: Call, *methods: str) -> Call:
    if call.method not in methods:
        raise MethodNotAllowed()
    return call


def _reply(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Reply:
    return Reply(encode(value), status=status, headers=headers or {})
