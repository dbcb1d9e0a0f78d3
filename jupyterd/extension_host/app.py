"""Server as extensions see it: the Jupyter Server's own ``ServerApp``, on the daemon's managers."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime
from typing import Any

from jupyter_server import DEFAULT_JUPYTER_SERVER_PORT
from jupyter_server.auth import AllowAllAuthorizer, Authorizer
from jupyter_server.serverapp import ServerApp
from jupyter_server.utils import url_path_join
from tornado.routing import Rule
from traitlets.config import Config
from traitlets.utils.importstring import import_item

from jupyterd.extension_host import routes, server, shims
from jupyterd.extension_host.contents import BlockingDaemonContents, DaemonContents
from jupyterd.extension_host.daemon_api import DaemonAPI
from jupyterd.extension_host.events import BridgedEventLogger
from jupyterd.extension_host.identity import DaemonIdentity, ForeignAuthorizer
from jupyterd.extension_host.kernels import KernelMirror
from jupyterd.extension_host.link import Link
from jupyterd.extension_host.loading import ReportingManager
from jupyterd.extension_host.sessions import DaemonSessions
from jupyterd.extension_host.terminals import DaemonTerminals
from jupyterd.extensions.routes import CONTENTS_MANAGER
from jupyterd.settings.aliases import ALIASES, FLAGS
from jupyterd.settings.command_line import parse
from jupyterd.settings.config_files import load_files

THE_DAEMONS = (
    "identity_provider_class", "kernel_manager_class", "session_manager_class", "login_handler_class",
    "logout_handler_class", "kernel_websocket_connection_class", "authorizer_class", "file_to_run", "sock", "port",
    "ip", "open_browser", "token", "password",
)  # fmt: skip
"""Settings of ``ServerApp`` that the daemon follows, not the host."""

ACTIVITY_SECONDS = 30.0
"""How often the daemon is told of activity, for its idle end; what asks for it exactly asks the host."""


class HostApp(ServerApp):
    """Runs extensions; it is made, loaded and served by :mod:`jupyterd.extension_host.__main__`."""

    name = "jupyter-server"
    find_extensions = False
    """The daemon has found them (read by :func:`jupyterd.settings.config_files.load_files`)."""
    link: Link
    setup: Mapping[str, Any]
    api: DaemonAPI
    authorizer_wanted: Any = None
    core_rules: list[Rule]
    extension_manager: Any  # ours: more than their base classes
    event_logger: Any
    kernel_manager: Any
    session_manager: Any

    def prepare(self, link: Link, setup: Mapping[str, Any]) -> None:
        """Say what the host is run for, before :meth:`initialize`."""
        self.link = link
        self.setup = setup
        self.api = DaemonAPI(str(setup["api"]), bytes.fromhex(setup["key"]), link)
        self.touched: Callable[[], None] = lambda: None
        self.stop_asked: Callable[[], None] = lambda: None
        self.owners: dict[int, str] = {}
        self._told_routes: list[dict[str, Any]] = []
        self._told_activity = 0.0

    # -- settings: the daemon's command line and files

    def parse_command_line(self, argv: Any = None) -> None:
        """Read the daemon's command line."""
        parsed = parse(list(self.setup["argv"]), ALIASES, FLAGS)
        self.extra_args = parsed.words
        self.update_config(self._ours(parsed.config))

    def load_config_file(self, suppress_errors: bool = True) -> None:  # type: ignore[override]
        """Read the daemon's files."""
        files = load_files(self)  # type: ignore[arg-type]
        self._loaded_config_files += files.loaded
        self.update_config(self._ours(files.config))

    def _ours(self, config: Config) -> Config:
        """Leave out what is not for the host: what the daemon follows, and settings that only it has."""
        if "ServerApp" in config:
            section = config.ServerApp
            if "authorizer_class" in section:
                self.authorizer_wanted = section["authorizer_class"]
            for name in list(section):
                value = section[name]
                named = value if isinstance(value, str) else getattr(value, "__module__", "")
                ours = named.startswith("jupyterd.") or (name == "contents_manager_class" and not _is_theirs(value))
                if name in THE_DAEMONS or not self.has_trait(name) or ours:
                    del section[name]
        return config

    def _init_asyncio_patch(self) -> None:  # type: ignore[override]
        """The loop is made by :mod:`jupyterd.extension_host.__main__`."""

    def init_logging(self) -> None:
        """What is logged goes to the daemon's log."""
        self.log_level = self.setup["log_level"]
        self.log_format = "[%(levelname)1.1s] %(message)s"  # the daemon's log has the time
        super().init_logging()

    def find_server_extensions(self) -> None:
        """Those that the daemon wants loaded; others are not imported."""
        wanted = {str(name): True for name in self.setup["wanted"]}
        self.config.ServerApp.jpserver_extensions = wanted
        self.jpserver_extensions = wanted

    # -- objects

    def init_server_extensions(self) -> None:
        """Import and link all of them."""
        self.extension_manager = ReportingManager(log=self.log, serverapp=self)
        self.extension_manager.tell, self.extension_manager.touched = self.link.send, self.touched
        self.extension_manager.from_jpserver_extensions(self.jpserver_extensions)
        self.extension_manager.link_all_extensions()

    def init_event_logger(self) -> None:
        """The daemon records events; here they are heard and told."""
        config = self.config.get("EventLogger", Config()).copy()
        config.pop("handlers", None)
        self.event_logger = BridgedEventLogger(config=Config({"EventLogger": config}), log=self.log)
        self._register_core_schemas()
        self.event_logger.bridge(self.link)

    def _register_core_schemas(self) -> None:
        from jupyter_server import DEFAULT_EVENTS_SCHEMA_PATH

        for path in sorted(DEFAULT_EVENTS_SCHEMA_PATH.glob("*/v*.yaml")):
            self.event_logger.register_event_schema(path)

    def init_configurables(self) -> None:
        """The managers, the daemon's in place of the stock ones."""
        self._follow_the_daemon()
        self.kernel_manager_class = KernelMirror
        self.session_manager_class = DaemonSessions
        self.identity_provider_class = DaemonIdentity
        stock = self.contents_manager_class.__module__.startswith("jupyter_server.")
        if stock:
            self.contents_manager_class = DaemonContents
        BlockingDaemonContents.host_api = self.api
        self.config.JupyterFs.setdefault("root_manager_class", BlockingDaemonContents)
        self.authorizer_class = self._authorizer_class()
        super().init_configurables()
        self.kernel_manager.serve(self.api)
        self.session_manager.serve(self.api)
        if isinstance(self.contents_manager, DaemonContents):
            self.contents_manager.serve(self.api)
        self.identity_provider.token = self.setup["token"]
        self.identity_provider.token_generated = False
        if isinstance(self.authorizer, ForeignAuthorizer):
            self.authorizer._asked = self._foreign_authorizer()

    def _follow_the_daemon(self) -> None:
        self.ip = self.setup["ip"]
        self.sock = self.setup["sock"]
        self.port = DEFAULT_JUPYTER_SERVER_PORT if self.sock else self.setup["port"]
        self.base_url = self.setup["base_url"]
        self.root_dir = self.setup["root_dir"]
        self.open_browser, self.file_to_run = False, ""
        self.disable_check_xsrf = self.allow_remote_access = True
        self.tornado_settings = {**self.tornado_settings, "xsrf_cookies": False}
        self.default_services = ()  # type: ignore[assignment]

    def _authorizer_class(self) -> type[Authorizer]:
        from traitlets.utils.importstring import import_item

        wanted = self.authorizer_wanted
        kind = import_item(str(wanted)) if isinstance(wanted, str) else wanted
        if kind is None or kind.__name__ == "AllowAllAuthorizer":
            return AllowAllAuthorizer
        self._foreign = kind
        return kind if isinstance(kind, type) and issubclass(kind, Authorizer) else ForeignAuthorizer

    def _foreign_authorizer(self) -> Any:
        return self._foreign(parent=self, identity_provider=self.identity_provider)

    def init_webapp(self) -> None:
        """The web application; its core rules stay the daemon's."""
        super().init_webapp()
        self.core_rules = routes.of_core(self.web_app)
        self.web_app.settings["terminals_available"] = self.setup["terminals"]
        if self.setup["terminals"]:
            self.web_app.settings["terminal_manager"] = DaemonTerminals(self.api)
        stock = self.web_app.add_handlers

        def add_handlers(*args: Any, **options: Any) -> None:
            stock(*args, **options)
            self._note_owners()
            if self._told_routes:
                self.io_loop.add_callback(self.tell_routes)

        self.web_app.add_handlers = add_handlers  # type: ignore[method-assign]

    def _note_owners(self) -> None:
        for rule, _ in routes.rules_of(self.web_app):
            self.owners.setdefault(id(rule), self.extension_manager.current)

    def owner_of(self, rule: Rule) -> str:
        """The extension that has added a rule; by its handler's package, where that is not known."""
        known = self.owners.get(id(rule))
        if known:
            return known
        top = str(getattr(rule.target, "__module__", "")).partition(".")[0]
        names = [name for name in self.extension_manager.extensions if name.partition(".")[0] == top]
        return names[0] if names else top

    def load_server_extensions(self) -> None:
        """Load all of them."""
        self._note_owners()
        self.link.handle = self.handle
        self.link.poll()
        super().load_server_extensions()

    # -- what the daemon does

    def init_signal(self) -> None:
        """Signals are taken by :mod:`jupyterd.extension_host.__main__`."""

    def init_shutdown_no_activity(self) -> None:
        """The daemon ends itself, and the host with it."""

    def init_metrics(self) -> None:
        """The daemon tells what it is."""

    def write_server_info_file(self) -> None:
        """There is one server: the daemon."""

    def remove_server_info_file(self) -> None:
        """It is the daemon's."""

    def write_browser_open_files(self) -> None:
        """They are the daemon's."""

    def remove_browser_open_files(self) -> None:
        """They are the daemon's."""

    async def cleanup_kernels(self) -> None:
        """Kernels are the daemon's."""

    def stop(self, from_signal: bool = False) -> None:
        """An extension wants the server to stop: the daemon is told."""
        self.link.send({"do": "shutdown"})

    # -- serving

    def serve(self) -> None:
        """Listen, and tell the daemon what there is."""
        delegate = server.SignedRequests(
            self.web_app,
            bytes.fromhex(self.setup["key"]),
            self.link,
            {"state": self.state, "metrics": shims.metrics},
        )
        self._http_server = server.listen(
            delegate, str(self.setup["socket"]), max_body=self.max_body_size, max_buffer=self.max_buffer_size
        )
        if self._contents_taken_over():
            self._serve_contents()
        self._told_routes = self._routes()
        self.tell_activity()
        self.link.send(
            {
                "do": "ready",
                "routes": self._told_routes,
                "page_config": self.page_config(),
                "extensions": [asdict(each) for each in self.extension_manager.loaded.values()],
                "static": [str(path) for path in self.web_app.settings["static_path"]],
                "contents": self._contents_taken_over(),
            }
        )

    def _serve_contents(self) -> None:
        """Answer for contents: an extension's manager has the files that clients see."""
        from jupyter_server.services.contents.handlers import default_handlers

        handlers = [*default_handlers, *self.contents_manager.get_extra_handlers()]
        self.extension_manager.current = CONTENTS_MANAGER
        self.web_app.add_handlers(".*$", [(url_path_join(self.base_url, each[0]), *each[1:]) for each in handlers])
        self.extension_manager.current = ""

    def _routes(self) -> list[dict[str, Any]]:
        found = routes.describe(self.web_app, self.core_rules, self.owner_of)
        routes.set_aside(self.web_app, self.core_rules, self.base_url)
        return found

    def tell_routes(self) -> None:
        """Tell the daemon of routes that were added."""
        found = self._routes()
        if found != self._told_routes:
            self._told_routes = found
            self.link.send({"do": "routes", "routes": found})

    def _contents_taken_over(self) -> str:
        kind = type(self.contents_manager)
        return "" if kind is DaemonContents else f"{kind.__module__}.{kind.__qualname__}"

    def page_config(self) -> dict[str, Any]:
        """What extensions tell the pages of the front ends."""
        data = self.web_app.settings.get("page_config_data") or {}
        return json.loads(json.dumps(data, default=str)) if isinstance(data, Mapping) else {}

    def state(self) -> tuple[bytes, str]:
        """What may change while the host runs, as JSON."""
        now = {"page_config": self.page_config(), "last_activity": self.last_activity()}
        return json.dumps(now).encode(), "application/json"

    def last_activity(self) -> float:
        """When extensions say that they were last used, in seconds since the epoch; 0 for never."""
        settings = self.web_app.settings
        times = [value for name, value in settings.items() if str(name).endswith("_last_activity")]
        times += list(settings.get("last_activity_times", {}).values())
        return max((each.timestamp() for each in times if isinstance(each, datetime)), default=0.0)

    def tell_activity(self) -> None:
        """Tell the daemon when extensions were used; again in a while."""
        now = self.last_activity()
        if now > self._told_activity:
            self._told_activity = now
            self.link.send({"do": "activity", "time": now})
        self.io_loop.call_later(ACTIVITY_SECONDS, self.tell_activity)

    def handle(self, message: dict[str, Any]) -> None:
        """An update of the daemon's."""
        what = message.get("do")
        try:
            if what == "kernels":
                self.kernel_manager.update(message["changed"], message["gone"])
            elif what == "event":
                self.event_logger.hear(message["schema_id"], message["data"])
            elif what == "stop":
                self.stop_asked()
        except Exception:
            self.log.exception("an update of the server was not understood")


def _is_theirs(named: Any) -> bool:
    """Whether a contents manager is the Jupyter Server's kind; one of the daemon's kind is asked through the daemon.

    What can not be imported is left to traitlets, which says so.
    """
    from jupyter_server.services.contents.manager import ContentsManager

    with suppress(ImportError, AttributeError):
        found = import_item(named) if isinstance(named, str) else named
        return not isinstance(found, type) or issubclass(found, ContentsManager)
    return True
