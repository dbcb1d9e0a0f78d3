"""The host's end of the two pipes to the daemon."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest

from jupyterd.extension_host.link import Link


def in_a_loop(script: Coroutine[Any, Any, Any]) -> Any:
    """Run it in a loop of its own; that of the tests turns in this thread."""
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(asyncio.run, script).result(30)


class Pipes:
    """Both pipes; what the daemon says is written by the test."""

    def __init__(self) -> None:
        read, self.say_to = os.pipe()
        self.hear_from, write = os.pipe()
        self.link = Link(read, write)
        self.all = (read, self.say_to, self.hear_from, write)

    def say(self, **message: Any) -> None:
        os.write(self.say_to, json.dumps(message).encode() + b"\n")

    def close(self) -> None:
        for descriptor in self.all:
            with suppress(OSError):
                os.close(descriptor)


@pytest.fixture
def pipes() -> Iterator[Pipes]:
    made = Pipes()
    yield made
    made.close()


def test_a_request_waits_for_the_update_that_it_knows(pipes: Pipes) -> None:
    async def script() -> list[str]:
        told: list[str] = []
        pipes.link.handle = lambda message: told.append(message["do"])
        waiting = pipes.link.applied(2)
        assert waiting is not None
        pipes.link.listen(asyncio.get_running_loop())
        pipes.say(do="kernels", n=1)
        pipes.say(do="event", n=2)
        await asyncio.wait_for(waiting, 10)
        return told

    pipes.say(update=0)
    assert pipes.link.setup() == {"update": 0}
    assert in_a_loop(script()) == ["kernels", "event"]
    assert pipes.link.applied(2) is None


def test_nobody_waits_for_what_was_told_before_this_run(pipes: Pipes) -> None:
    """The updates that a run before this one has had do not come again."""
    pipes.say(update=7)
    pipes.link.setup()
    assert pipes.link.applied(7) is None

    async def later() -> bool:
        return pipes.link.applied(8) is not None

    assert in_a_loop(later())


def test_a_daemon_that_goes_away_while_it_starts(pipes: Pipes) -> None:
    os.close(pipes.say_to)
    with pytest.raises(EOFError):
        pipes.link.setup()


def test_the_end_is_seen_before_the_loop_turns(pipes: Pipes) -> None:
    pipes.say(update=0)
    pipes.link.setup()
    assert not pipes.link.is_end_asked()
    pipes.say(do="kernels", n=1)
    assert not pipes.link.is_end_asked()
    pipes.say(do="stop")
    assert pipes.link.is_end_asked()


def test_what_is_told_is_a_line(pipes: Pipes) -> None:
    pipes.link.send({"do": "ready", "path": "a\nb"})
    assert os.read(pipes.hear_from, 100) == b'{"do": "ready", "path": "a\\nb"}\n'
