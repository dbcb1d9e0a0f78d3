"""Foreground server: what ``twistd -n jupyterd`` does, in one word and with the log on stderr."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from twisted.application import app
from twisted.application.service import ServiceMaker
from twisted.scripts import twistd
from twisted.scripts._twistd_unix import ServerOptions

from jupyterd.tap import Options

if TYPE_CHECKING:
    from twisted.logger import ILogObserver

    from jupyterd.settings.server_app import ServerApp

_MAKER = ServiceMaker("jupyterd", "jupyterd.tap", "", "jupyterd")


class ConsoleOptions(ServerOptions):
    """twistd's options, without a search for other plugins."""

    @property
    def subCommands(self) -> Iterator[tuple[str, None, Any, str]]:
        """jupyterd alone."""
        self.loadedPlugins = {_MAKER.tapname: _MAKER}
        yield (_MAKER.tapname, None, Options, _MAKER.description)

    @staticmethod
    def console(server: ServerApp) -> ILogObserver:
        """Where the log of the foreground goes, and how it looks."""
        from jupyterd.log import Console, Layout

        stream = sys.__stderr__ or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - for as long as we run
        return Console(stream, Layout(server.log_format, server.log_datefmt, stream.isatty()))


def serve(argv: Sequence[str]) -> None:
    """Serve until a signal comes.

    :param argv: options, without the program's name.
    """
    _fill_standard_descriptors()
    sys.argv[1:] = ["--nodaemon", "--pidfile=", _MAKER.tapname, *argv]
    app.run(twistd.runApp, ConsoleOptions)


def _fill_standard_descriptors() -> None:
    """Put what swallows everything where a descriptor below 3 is closed: no socket or file of ours must become it."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # it gets the lowest number that is free
