"""Embedding: what ``ServerApp`` offers to a program that the server is part of, one short step each.

    app = ServerApp()
    app.initialize(["--port=0"])
    app.start()                     # serves until a signal; within a reactor that runs it returns at once

The names and their order are the Jupyter Server's; what they make is Twisted's. What is asked for too early is made by
that: nobody has to know an order.
"""

from __future__ import annotations

import mimetypes
from typing import Any

from jupyter_core.application import JupyterApp

SERVICES = (
    "api",
    "auth",
    "config",
    "contents",
    "files",
    "kernels",
    "kernelspecs",
    "nbconvert",
    "security",
    "sessions",
    "shutdown",
    "view",
    "events",
)


class EmbeddedServer(JupyterApp):
    """Base of ``ServerApp``."""

    default_services = SERVICES
    starter_extension: str | None = None
    new_httpserver = True
    _embedded: Any = None

    @staticmethod
    def make_embedded(server: Any) -> Any:
        """The daemon of a server's settings; :mod:`jupyterd.serverapp` sets it."""
        raise RuntimeError("import ServerApp from jupyterd.serverapp to serve")

    @property
    def embedded(self) -> Any:
        """The daemon, made when it is first asked for; see :class:`jupyterd.embedding.Embedded`."""
        if self._embedded is None:
            self._embedded = self.make_embedded(self)
        return self._embedded

    @property
    def _parts(self) -> Any:
        return self.embedded.parts

    # -- what it is made of

    @property
    def io_loop(self) -> Any:
        """The reactor."""
        return self.embedded.reactor

    @property
    def web_app(self) -> Any:
        """All that is served; see :class:`jupyterd.embedding.ServerWebApplication`."""
        return self.embedded.web_app

    @property
    def http_server(self) -> Any:
        """The ``twisted.web.server.Site`` of all connections.

        :raises AttributeError: none was made yet.
        """
        if self._embedded is None:
            raise AttributeError("There is no HTTP server yet: call init_httpserver() or start_app()")
        return self._parts.site

    @property
    def kernel_manager(self) -> Any:
        """All kernels."""
        return self._parts.kernels

    @property
    def kernel_spec_manager(self) -> Any:
        """Finds the kernels that are installed; jupyter_client's, or an operator's."""
        specs = self._parts.kernelspecs
        return getattr(specs, "client", specs)

    @property
    def contents_manager(self) -> Any:
        """Users' files."""
        return self._parts.contents.manager

    @property
    def session_manager(self) -> Any:
        """Which document has which kernel."""
        return self._parts.sessions

    @property
    def config_manager(self) -> Any:
        """Front ends' settings."""
        return self._parts.config_manager

    @property
    def event_logger(self) -> Any:
        """The bus of events; a ``jupyter_events.EventLogger`` is its ``logger``."""
        return self._parts.bus

    @property
    def starter_app(self) -> Any:
        """The front end that ``initialize`` was told of (``lab``, ``notebook``); None without one."""
        if self.starter_extension not in ("lab", "notebook"):
            return None
        return getattr(self._parts.front_ends, self.starter_extension)

    # -- steps of a start

    def init_ioloop(self) -> None:
        """Have the reactor: an asyncio one is installed where there is none yet."""
        _ = self.io_loop

    def init_logging(self) -> None:
        """Pass what libraries log by :mod:`logging` on to Twisted's log."""
        self.embedded.init_logging()

    def init_resources(self) -> None:
        """Raise the limit of open files to ``min_open_files_limit``."""
        self.embedded.init_resources()

    def init_mime_overrides(self) -> None:
        """Have scripts and style sheets served as such, whatever the system's table says."""
        mimetypes.add_type("text/css", ".css")
        mimetypes.add_type("application/javascript", ".js")

    def init_configurables(self) -> None:
        """Make the managers: kernels, files, sessions."""
        _ = self.kernel_manager, self.contents_manager, self.session_manager

    def init_components(self) -> None:
        """Nothing: front ends are packages here, not a submodule that may be unclean."""

    def init_event_logger(self) -> None:
        """Have the bus of events."""
        _ = self.event_logger

    def init_webapp(self) -> None:
        """Have all that is served."""
        _ = self.web_app

    def init_httpserver(self) -> None:
        """Open the sockets; connections are accepted from :meth:`start_app` on.

        :raises CannotListen: there is nothing to listen on.
        """
        self.embedded.listen()

    def init_signal(self) -> None:
        """Handle signals while it serves, also within a reactor of somebody else's."""
        self.embedded.handle_signals()

    def init_shutdown_no_activity(self) -> None:
        """Nothing to do: where ``shutdown_no_activity_timeout`` is set, the daemon has a service for it."""

    def shutdown_no_activity(self) -> None:
        """Stop, if there was no kernel, terminal or use for ``shutdown_no_activity_timeout`` seconds."""
        self.embedded.shutdown_no_activity()

    def find_server_extensions(self) -> None:
        """Nothing to do: reading the settings has found them; ``jpserver_extensions`` are all."""

    def init_server_extensions(self) -> None:
        """Make the process that extensions run in, if there are any; it starts with the server."""
        _ = self._parts.extensions

    def load_server_extensions(self) -> None:
        """Nothing more: extensions are loaded in their process when the server has started."""
        self.init_server_extensions()

    # -- serving

    def start_app(self) -> None:
        """Start all services: from now on it answers, as soon as the reactor runs.

        :raises CannotListen: there is nothing to listen on.
        """
        self.embedded.start(listen=self.new_httpserver)

    def start_ioloop(self) -> None:
        """Run the reactor until :meth:`stop` or a signal; returns at once where it runs already."""
        self.embedded.run()

    def stop(self, from_signal: bool = False) -> Any:
        """Stop all services; the Deferred that is returned fires when they have. A reactor of ours ends too."""
        return self.embedded.stop()

    async def cleanup_kernels(self) -> None:
        """Shut all kernels down."""
        await self.embedded.cleanup_kernels()

    async def cleanup_extensions(self) -> None:
        """End the process of the extensions."""
        await self.embedded.cleanup_extensions()
