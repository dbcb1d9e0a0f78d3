"""Deferreds in tests: work without threads, and the result that must be there at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from twisted.internet.defer import Deferred, maybeDeferred

P = ParamSpec("P")
T = TypeVar("T")


def at_once(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Deferred[T]:
    """An :class:`~jupyterd.system.threads.InThread` without threads."""
    return maybeDeferred(function, *args, **kwargs)


def result_of(deferred: Deferred[T]) -> T:
    """The result of a Deferred that has fired.

    :raises AssertionError: it has not.
    """
    results: list[Any] = []
    failures: list[Any] = []
    deferred.addCallbacks(results.append, failures.append)
    if failures:
        failures[0].raiseException()
    assert results, "the Deferred has not fired"
    return results[0]  # type: ignore[no-any-return]


async def allowed(_: Any) -> bool:
    """Yes: in place of a question to the authorizer."""
    return True
