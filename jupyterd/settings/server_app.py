"""ServerApp: the server as traitlets sees it, its settings and what follows from them."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Generator
from copy import deepcopy
from functools import cached_property
from typing import Any, cast
from urllib.parse import ParseResult, urlencode, urlparse

from traitlets import Unicode, default, observe
from traitlets.config import Config, Configurable
from traitlets.config.loader import DeferredConfig

from jupyterd import __version__
from jupyterd.commands import COMMANDS
from jupyterd.log import application_log
from jupyterd.settings.aliases import ALIASES, FLAGS, IGNORED_FLAGS
from jupyterd.settings.command_line import BadOption, parse
from jupyterd.settings.config_files import load_files
from jupyterd.settings.deprecated import MovedTraits
from jupyterd.settings.embedding import EmbeddedServer
from jupyterd.settings.hub import config_dir_outside_home, of_hub, outside_home, without_user_config
from jupyterd.settings.notebook_names import adopt, nested
from jupyterd.settings.renamed import renamed
from jupyterd.settings.server_traits import ServerTraits
from jupyterd.settings.subcommands import (
    JupyterPasswordApp,
    JupyterServerListApp,
    JupyterServerStopApp,
    as_applications,
)
from jupyterd.status.version import API_VERSION
from jupyterd.utils import url_path_join, urlencode_unix_socket_path

WILDCARD_IPS = ("", "0.0.0.0", "::")  # noqa: S104
_WEB = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "web")
_EVERYWHERE = "The server is listening on all interfaces, so any hostname or IP of this machine will work."
STARTS = {"lab": "/lab", "notebook": "/tree"}
WRITTEN_DOWN = (MovedTraits, ServerTraits, EmbeddedServer)
"""The classes that hold the server's settings. To operators all of them are settings of ``ServerApp``."""


class ServerApp(EmbeddedServer, ServerTraits):
    """What an operator has set, and what follows from it. ``jupyterd.app.composition`` builds the daemon from it."""

    name = "jupyter-server"
    version = __version__
    description = "jupyterd: the Jupyter Server as a Twisted daemon."
    subcommand_description = "`jupyterd cmd [args]` runs a subcommand; `jupyterd cmd --help` tells of its options."
    examples = """
jupyterd                          # start in the foreground
jupyterd --certfile=mycert.pem    # with TLS
twistd jupyterd --port=9999       # start as a daemon
jupyterd password                 # set a password
jupyterd list                     # what runs, and where
jupyterd stop 9999                # stop the one on that port
jupyterd run a.ipynb -p alpha 1   # have it run a notebook
"""
    aliases = dict(ALIASES)
    flags = dict(FLAGS)
    classes: list[type[Any]] = []
    subcommands = {
        "list": (JupyterServerListApp, "List the servers that run."),
        "stop": (JupyterServerStopApp, "Stop the server on a port or UNIX socket."),
        "password": (JupyterPasswordApp, "Set a password."),
        **as_applications(COMMANDS),
    }
    hosted_contents = ""
    """The contents manager that a server extension brings: its host answers for contents."""
    more_urls: list[str] = []
    """Where it is beside ``ip`` and ``port``, or ``sock``; known when it listens."""
    info_file = Unicode()
    browser_open_file = Unicode()
    browser_open_file_to_run = Unicode()

    # -- reading the settings

    def initialize(
        self,
        argv: list[str] | None = None,
        find_extensions: bool = True,
        new_httpserver: bool = True,
        starter_extension: str | None = None,
    ) -> None:
        """Read the command line and the files; the command line wins.

        :param find_extensions: take extensions that enable themselves, beside those that are named to us.
        :param new_httpserver: listen when it is started.
        :param starter_extension: the front end that starts it: ``/`` leads there.
        :raises BadOption: an option is unknown or incomplete.
        :raises TraitError: a value is not one.
        :raises ConfigFileError: the file that ``--config`` names is missing.
        """
        self.find_extensions, self.new_httpserver = find_extensions, new_httpserver
        self.starter_extension = starter_extension
        self.parse_command_line(argv)
        if self.subapp or self.generate_config:
            return
        given = deepcopy(self.config)
        self.load_config_file()
        of_hub(self)
        self.update_config(given)
        self.update_config(nested(self.config))
        self.update_config(renamed(self.config, self.log))
        # Those that the command line names come to those that enable themselves; they do not replace them.
        self.jpserver_extensions = {**self._enabled, **self.jpserver_extensions}
        self.hand_over_moved()
        if "default_url" not in self.config.get("ServerApp", {}):
            self.default_url = STARTS.get(starter_extension or "", self.default_url)

    def parse_command_line(self, argv: list[str] | None = None) -> None:
        """Take the settings of a command line; may print help or the version and leave."""
        self.argv = self._get_sys_argv()[1:] if argv is None else list(argv)
        if self.argv[:1] == ["help"]:
            self.argv = [*self.argv[1:], "--help"]
        if self.argv and self.argv[0] in self.subcommands:
            self.initialize_subcommand(self.argv[0], self.argv[1:])
            return
        self._maybe_help(self.argv[: self.argv.index("--")] if "--" in self.argv else self.argv)
        parsed = parse(self.argv, self.aliases, self.flags)
        for word in self.argv:
            if word.lstrip("-") in IGNORED_FLAGS and word.startswith("--"):
                self.log.warning("Option %s has no effect here.", word)
        adopt(parsed.config, type(self), self.log)
        self.update_config(parsed.config)
        self.extra_args = parsed.words
        if self.extra_args:
            self._open_first(self.extra_args[0])

    def _maybe_help(self, argv: list[str]) -> None:
        if "--help-all" in argv:
            self._know_all_classes()
            self.print_help(classes=True)
        elif "--help" in argv or "-h" in argv:
            self.print_help()
        elif "--version" in argv or "-V" in argv:
            self.print_version()
        else:
            return
        raise SystemExit(0)

    def _open_first(self, word: str) -> None:
        path = os.path.abspath(word)
        if not os.path.exists(path):
            raise BadOption(f"no such file or directory: {path}")
        config = Config()
        config.ServerApp["root_dir" if os.path.isdir(path) else "file_to_run"] = path
        self.update_config(config)

    def load_config_file(self, suppress_errors: bool = True) -> None:  # type: ignore[override]
        """Take the settings of all configuration files."""
        files = load_files(self, raise_errors=self.raise_config_file_errors or not suppress_errors)
        self._loaded_config_files += files.loaded
        self.update_config(files.config)
        self._enabled = files.enabled

    @property
    def config_file_paths(self) -> list[str]:
        """Directories of configuration files, the one that wins first."""
        paths = super().config_file_paths
        return outside_home(paths) if without_user_config(self.config) else paths

    def _config_dir_default(self) -> str:
        given = str(super()._config_dir_default())
        return config_dir_outside_home(given) if without_user_config(self.config) else given

    def start_show_config(self) -> None:
        """Print the settings, values of the command line as what they have become."""
        given = self.config.get("ServerApp", {})
        deferred = [name for name, value in given.items() if isinstance(value, DeferredConfig) and self.has_trait(name)]
        given.update({name: getattr(self, name) for name in deferred})
        super().start_show_config()

    def write_default_config(self) -> None:
        """Write all settings with their defaults, as comments, to a file; without an answer, no file is replaced."""
        self._know_all_classes()
        try:
            super().write_default_config()
        except EOFError:
            print()  # noqa: T201 - ends the line of the question
            self.exit(1)

    def _know_all_classes(self) -> None:
        from jupyterd.compat.class_names import known_classes

        self.classes = [type(self), *known_classes()]

    @classmethod
    def class_own_traits(cls, **metadata: Any) -> dict[str, Any]:
        """Those that are written down in its bases too: help and generated files show them as ours."""
        own = super().class_own_traits(**metadata)
        return {name: trait for base in WRITTEN_DOWN for name, trait in base.class_own_traits(**metadata).items()} | own

    def _classes_inc_parents(self, classes: Any = None) -> Generator[Any, None, None]:
        # Where the settings are written down is nothing that operators have to know.
        yield from (known for known in super()._classes_inc_parents(classes) if known not in WRITTEN_DOWN)

    def _classes_with_config_traits(self, classes: Any = None) -> Generator[Any, None, None]:
        # Nor is the base of both kernel managers, whose settings are shown as theirs.
        found = super()._classes_with_config_traits(classes)
        yield from (known for known in found if known.__name__ != "MappingKernelSettings")

    def emit_alias_help(self) -> Generator[str, None, None]:
        """One line for each alias."""
        for alias, trait in sorted(self.aliases.items()):
            yield f"--{alias}=<{trait}>"

    def emit_flag_help(self) -> Generator[str, None, None]:
        """Two lines for each flag."""
        for flag, (_, text) in sorted(self.flags.items()):
            yield f"-{flag}" if len(flag) == 1 else f"--{flag}"
            yield f"    {text}"

    @observe("config")
    def _config_changed(self, change: Any) -> None:
        # The application's own way logs all settings, tokens included.
        Configurable._config_changed(self, change)

    @default("log")
    def _log_default(self) -> Any:
        log = application_log(type(self).__name__)
        log.setLevel(cast(int, self.log_level))
        return log

    @observe("log_level", "log_format", "log_datefmt", "logging_config")
    def _configure_logging(self, *_: Any) -> None:
        self.log.setLevel(cast(int, self.log_level))

    # -- who may enter

    @cached_property
    def identity_provider(self) -> Any:
        """Who finds out where a request comes from; an instance of ``identity_provider_class``."""
        from jupyterd.compat.class_names import resolve

        return resolve(self.identity_provider_class)(parent=self, log=self.log)

    # -- where it is

    @property
    def public_url(self) -> str:
        """The URL to give to people, with the token."""
        parts = self._url(self._first_ip, self.default_path, with_token=True)
        if self.custom_display_url:
            shown = {name: part for name, part in urlparse(self.custom_display_url)._asdict().items() if part}
            parts = parts._replace(**shown)
        return parts.geturl()

    @property
    def local_url(self) -> str:
        """The URL for browsers on this machine, with the token."""
        host = "::1" if ":" in self._first_ip else "127.0.0.1"
        return self._url(host, self.default_path, with_token=True).geturl()

    @property
    def display_url(self) -> str:
        """Both of them, one a line."""
        if self.public_url == self.local_url:
            return self.public_url
        return f"{self.public_url}\n    {self.local_url}"

    @property
    def connection_url(self) -> str:
        """The URL for programs, without the token; a wildcard address becomes this machine's name."""
        ip = socket.gethostname() if self._first_ip in WILDCARD_IPS[1:] else self._first_ip
        return self._url(ip, self.base_url).geturl()

    @property
    def connect_url(self) -> str:
        """What to show of URLs; for a wildcard address with this machine's name, as 0.0.0.0 can not be opened."""
        if self._first_ip not in WILDCARD_IPS[1:] or self.sock:
            return self.display_url
        public = self._url(socket.gethostname(), self.default_path, with_token=True).geturl()
        return f"{public}\n    {self.local_url}\n{_EVERYWHERE}"

    @property
    def _first_ip(self) -> str:
        return self.ip.partition(",")[0]

    @property
    def default_path(self) -> str:
        """``default_url`` below ``base_url``."""
        if self.default_url.startswith(self.base_url):
            return self.default_url
        return url_path_join(self.base_url, self.default_url)

    def _url(self, ip: str, path: str, with_token: bool = False) -> ParseResult:
        if self.sock:
            scheme, where = "http+unix", urlencode_unix_socket_path(self.sock)
        else:
            ip = ip or "localhost"
            scheme = "https" if self.certfile or (self.ssl_options or {}).get("certfile") else "http"
            where = f"[{ip}]:{self.port}" if ":" in ip else f"{ip}:{self.port}"
        token = self.identity_provider.token if with_token else ""
        if token and not self.identity_provider.token_generated:
            token = "..."  # noqa: S105 - one that the operator knows is not printed
        return ParseResult(scheme, where, path, "", urlencode({"token": token}) if token else "", "")

    # -- what it serves

    @property
    def static_file_path(self) -> list[str]:
        """Directories of static files, the one that wins first."""
        return [*self.extra_static_paths, os.path.join(_WEB, "static")]

    @property
    def template_file_path(self) -> list[str]:
        """Directories of templates, the one that wins first."""
        return [*self.extra_template_paths, os.path.join(_WEB, "templates")]

    # -- what it tells about itself

    def server_info(self) -> dict[str, Any]:
        """What ``jpserver-<pid>.json`` holds. Tools take its ``version`` for a Jupyter Server's, as ``/api``'s."""
        return {
            "url": self.connection_url,
            "hostname": self._first_ip or "localhost",
            "port": self.port,
            "sock": self.sock,
            "secure": bool(self.certfile),
            "base_url": self.base_url,
            "token": self.identity_provider.token,
            "root_dir": os.path.abspath(self.root_dir),
            "password": bool(getattr(self.identity_provider, "hashed_password", "")),
            "pid": os.getpid(),
            "version": API_VERSION,
            "jupyterd_version": self.version,
            **({"more_urls": self.more_urls} if self.more_urls else {}),
        }

    def running_server_info(self, kernel_count: bool = True, kernels: int = 0) -> str:
        """A few lines for people: where files are, where the server is.

        :param kernels: how many kernels run.
        """
        lines = [f"Serving notebooks from local directory: {self.root_dir}"]
        if kernel_count:
            lines.append(f"{kernels} active kernel{'' if kernels == 1 else 's'}")
        lines += [f"Jupyter Server (jupyterd {self.version}) is running at:", self.display_url]
        return "\n".join(lines)

    @default("info_file")
    def _info_file_default(self) -> str:
        return os.path.join(self.runtime_dir, f"jpserver-{os.getpid()}.json")

    @default("browser_open_file")
    def _browser_open_file_default(self) -> str:
        return os.path.join(self.runtime_dir, f"jpserver-{os.getpid()}-open.html")

    @default("browser_open_file_to_run")
    def _browser_open_file_to_run_default(self) -> str:
        return os.path.join(self.runtime_dir, f"jpserver-file-to-run-{os.getpid()}-open.html")

    def write_server_info_file(self) -> None:
        """Write ``jpserver-<pid>.json``, for this user's eyes only."""
        from jupyterd.supervision import runtime_files

        runtime_files.write_info(self)

    def remove_server_info_file(self) -> None:
        """Remove it; that it is gone already is fine."""
        from jupyterd.supervision import runtime_files

        runtime_files.remove(self.info_file)

    def write_browser_open_files(self) -> None:
        """Write the pages that lead a browser here, with the token, for this user's eyes only."""
        from jupyterd.supervision.browser import write_open_files

        write_open_files(self)

    def remove_browser_open_files(self) -> None:
        """Remove them; that they are gone already is fine."""
        from jupyterd.supervision import runtime_files

        self.remove_browser_open_file()
        runtime_files.remove(self.browser_open_file_to_run)

    def write_browser_open_file(self) -> None:
        """Write the one that opens the start page."""
        from jupyterd.supervision.browser import write_open_file

        write_open_file(self)

    def remove_browser_open_file(self) -> None:
        """Remove that one; that it is gone already is fine."""
        from jupyterd.supervision import runtime_files

        runtime_files.remove(self.browser_open_file)

    def launch_browser(self) -> None:
        """Start the operator's browser; blocks until it has started."""
        from jupyterd.supervision.browser import open_browser

        open_browser(self)

    # -- serving

    def start(self) -> None:
        """Serve until a signal comes, or do what was asked for instead (a subcommand, ``--generate-config`` ...).

        Where the reactor runs already it returns at once, and :meth:`stop` ends it.

        :raises BadSettings: a value is not one, or two of them exclude each other.
        """
        if self.subapp or self.generate_config or self.show_config or self.show_config_json:
            super().start()
            return
        self.start_app()
        self.start_ioloop()

    @classmethod
    def launch_instance(cls, argv: list[str] | None = None, **kwargs: Any) -> None:
        """What the command ``jupyterd`` does; the process becomes the daemon."""
        cls.serve(sys.argv[1:] if argv is None else list(argv))

    @staticmethod
    def serve(argv: list[str]) -> None:
        """Serve with these options until a signal comes; :mod:`jupyterd.serverapp` sets it."""
        raise RuntimeError("import ServerApp from jupyterd.serverapp to serve")
