"""The seam to asyncio: jupyter_client and users' asynchronous classes are asyncio, jupyterd's own code is Twisted.

Both run on one event loop. An asyncio awaitable must be a task of that loop before a Twisted coroutine can wait for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from twisted.internet.defer import Deferred

T = TypeVar("T")


def from_asyncio(awaitable: Awaitable[T]) -> Deferred[T]:
    """Run an asyncio coroutine or future; the Deferred fires with its result.

    Cancelling the Deferred cancels the task.
    """
    return Deferred.fromFuture(asyncio.ensure_future(awaitable))
