"""Asyncio bridge: jupyter_client and users' asynchronous classes are asyncio, jupyterd's own code is Twisted.

Both run on one event loop. An asyncio awaitable must be a task of that loop before a Twisted coroutine can wait for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred

T = TypeVar("T")


def caller_from_threads(reactor: Any) -> Callable[..., Any]:
    """What has the reactor's thread call a function, from any thread.

    The loop's own way, where there is a loop: the reactor's is a timer of no length, a turn of the loop more.
    """
    loop: asyncio.AbstractEventLoop | None = getattr(reactor, "_asyncioEventloop", None)
    call: Callable[..., Any] = reactor.callFromThread if loop is None else loop.call_soon_threadsafe
    return call


def from_asyncio(awaitable: Awaitable[T]) -> Deferred[T]:
    """Run an asyncio coroutine or future; the Deferred fires with its result.

    Cancelling the Deferred cancels the task.
    """
    return Deferred.fromFuture(asyncio.ensure_future(awaitable))
