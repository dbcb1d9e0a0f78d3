"""Synchronous or asynchronous contents managers, called by one body.

What is written here as ``async def`` waits only through :func:`settled`. With a manager whose methods return plain
values it never suspends and :func:`at_once` runs it in the calling thread; with one whose methods are asyncio
coroutines it is a coroutine of that loop.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine
from inspect import isawaitable
from typing import Any, TypeVar

T = TypeVar("T")


class _Here(threading.local):
    driving = False


_here = _Here()


async def off_loop(function: Callable[..., Any], *args: Any) -> Any:
    """Run blocking work: here, where :func:`at_once` runs the caller; else in a thread of the asyncio loop."""
    if _here.driving:
        return function(*args)
    return await asyncio.to_thread(function, *args)


async def settled(value: Awaitable[T] | T) -> T:
    """``value``, waited for if it must be."""
    if isawaitable(value):
        return await value
    return value


def to_end(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end in this thread, which is none of a loop's."""
    before, _here.driving = _here.driving, True
    try:
        return asyncio.run(coroutine)
    finally:
        _here.driving = before


def at_once(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that never suspends.

    :raises RuntimeError: it does suspend: the manager is asynchronous.
    """
    before, _here.driving = _here.driving, True
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]
    finally:
        _here.driving = before
    coroutine.close()
    raise RuntimeError("a synchronous contents manager returned something to wait for")
