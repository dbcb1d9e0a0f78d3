"""``python -m jupyterd.extension_host``: started by the daemon alone, with two pipes as descriptors 3 and 4."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import traceback
from contextlib import suppress
from typing import Any

from jupyterd.system.processes.marked import MARK, kill_marked

STOP_SECONDS = 3.0
"""How long extensions may take to stop."""


def main() -> None:
    """Load the extensions and serve them until the daemon ends or asks for the end."""
    from jupyterd.extension_host.link import Link

    with suppress(OSError):
        os.setsid()
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr] # what is printed is for the log, now
    link = Link()
    try:
        setup = link.setup()
    except EOFError:
        return
    status = 1
    try:
        run(link, setup)
        status = 0
    except SystemExit:
        status = 0  # a handler of SIGTERM that some extension has set
    except BaseException:  # noqa: BLE001 - told, and then the process ends
        traceback.print_exc()
    finally:
        _end_group(status)


def run(link: Any, setup: dict[str, Any]) -> None:
    """The host's life."""
    from jupyterd.extension_host import shims

    shims.iri_grammar_late()
    from jupyterd.extension_host.app import HostApp
    from jupyterd.extension_host.watchdog import Watchdog

    shims.psutil_of(int(setup["daemon"]))
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    app = HostApp.instance()
    app.prepare(link, setup)
    watchdog = Watchdog(
        setup["wanted"],
        lambda: getattr(getattr(app, "extension_manager", None), "current", ""),
        lambda name, seconds, stack: link.send(
            {"do": "stalled", "extension": name, "seconds": seconds, "stack": stack}
        ),
        _orphaned,
    )
    watchdog.start()
    stopping = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stopping.set)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's: the daemon decides
    link.gone = app.stop_asked = stopping.set

    def touched() -> None:
        watchdog.touched()
        if not loop.is_running() and link.is_end_asked():
            raise SystemExit  # nothing is served yet: the rest need not be loaded

    app.touched = touched
    app.initialize(argv=[], new_httpserver=False)

    loop.run_until_complete(_live(app, link, watchdog, stopping))


async def _live(app: Any, link: Any, watchdog: Any, stopping: asyncio.Event) -> None:
    """Serve until ``stopping``; then extensions have their time to clean up."""
    loop = asyncio.get_running_loop()
    link.listen(loop)
    if stopping.is_set():
        return
    watchdog.beat(loop)
    app.serve()
    starting = asyncio.ensure_future(app._post_start())
    await stopping.wait()
    starting.cancel()
    with suppress(Exception):
        await asyncio.wait_for(app.cleanup_extensions(), STOP_SECONDS)


def _end_group(status: int) -> None:
    """End all that the extensions have started, and this process."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # the daemon is gone, and with it who reads
            stream.flush()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if os.getpgid(0) == os.getpid():
        with suppress(OSError):
            os.killpg(0, signal.SIGTERM)
    kill_marked(os.environ.get(MARK, ""))
    os._exit(status)


def _orphaned() -> None:
    """The daemon is gone and an extension does not let the loop turn."""
    kill_marked(os.environ.get(MARK, ""))
    if os.getpgid(0) == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


if __name__ == "__main__":
    main()
