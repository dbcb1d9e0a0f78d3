"""Loading of settings: from a command line to files, environment and options in one traitlets Config."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from traitlets import TraitError
from traitlets.config import Config

from jupyterd.compat.class_names import CLASSES, ours, resolve
from jupyterd.extensions.discovery import JUPYTEXT, LANGUAGE_SERVERS, SERVED, enabled, hosted, is_installed
from jupyterd.gateway import is_set
from jupyterd.settings.checks import BadSettings, check_classes, check_values, resolved, warn_of_misspelt_classes
from jupyterd.settings.command_line import BadOption
from jupyterd.settings.config_files import ConfigFileError
from jupyterd.settings.deprecated import NO_EFFECT, NO_EFFECT_ELSEWHERE
from jupyterd.settings.server_app import ServerApp

__all__ = ["BadSettings", "Settings", "act", "load"]


@dataclass(frozen=True)
class Settings:
    """What a daemon is built from.

    :ivar server: the server's own settings, with defaults.
    :ivar argv: the command line they come from, to read them again.
    :ivar directory: where that was.
    """

    server: ServerApp
    argv: tuple[str, ...] = ()
    directory: str = field(default_factory=os.getcwd)

    @property
    def config(self) -> Config:
        """All settings, for ``Configurable(config=...)``."""
        return self.server.config

    @property
    def token(self) -> str:
        """The secret that opens the server; empty: none does."""
        return str(self.server.identity_provider.token)

    @property
    def verbose(self) -> bool:
        """Whether debug events are wanted."""
        return bool(cast(int, self.server.log_level) <= logging.DEBUG)

    def make(self, trait: str, **arguments: Any) -> Any:
        """An instance of the class that a setting (``contents_manager_class``) names.

        :raises BadSettings: there is no such class.
        """
        return resolved(self.server, trait)(parent=self.server, **arguments)

    def touches(self, package: str) -> bool:
        """Whether the operator has set anything of the classes of one of our packages."""
        sections = {name.rpartition(".")[2] for name in CLASSES if name.startswith(f"{package}.")}
        return not sections.isdisjoint(self.config)

    def again(self) -> Settings:
        """The same command line with the files as they are now.

        :raises BadSettings: they can not be used.
        """
        here = os.open(".", os.O_RDONLY)  # its name may be gone
        try:
            os.chdir(self.directory)  # a daemon is somewhere else than its command line was written
            return load(self.argv)
        except OSError as error:
            raise BadSettings(f"{self.directory}: {error.strerror}") from error
        finally:
            os.fchdir(here)
            os.close(here)


def load(argv: Sequence[str]) -> Settings:
    """Read everything.

    :param argv: options, without the program's name.
    :raises BadSettings: an option is unknown, a value is not one, or two of them exclude each other.
    :raises SystemExit: help or the version was asked for, and has been printed.
    """
    server = ServerApp()
    try:
        server.initialize(list(argv))
        if not (server.subapp or server.generate_config):
            _check(server)
        return Settings(server, tuple(argv))
    except (BadOption, ConfigFileError, TraitError, BadSettings) as error:
        raise BadSettings(" ".join(str(error).split())) from error
    except OSError as error:
        raise BadSettings(f"{error.filename or 'the working directory'}: {error.strerror}") from error


def checked(server: ServerApp) -> Settings:
    """What a server has read, or its program has set.

    :raises BadSettings: a value is not one, or two of them exclude each other.
    """
    try:
        _check(server)
        return Settings(server, tuple(server.argv))
    except (TraitError, BadSettings) as error:
        raise BadSettings(" ".join(str(error).split())) from error


def act(settings: Settings) -> bool:
    """Do what is done instead of serving: a subcommand, writing a configuration, showing the settings.

    :returns: whether there was such a thing to do.
    """
    server = settings.server
    if server.subapp:
        server.subapp.start()
    elif server.generate_config:
        server.write_default_config()
    elif server.show_config or server.show_config_json:
        server.start_show_config()
    else:
        return False
    return True


def _check(server: ServerApp) -> None:
    """What can be said to be wrong before anything starts."""
    if is_set(server.config):
        _check_gateway(server)
    _ = server.port, server.port_retries, server.runtime_dir  # what they are by default may not do
    if server.sock:
        _check_socket(server)
    if server.endpoints:
        _check_endpoints(server)
    _leave_to_the_host(server)
    check_classes(server)
    check_values(server.config)
    for name in ("certfile", "keyfile", "client_ca"):
        path = getattr(server, name)
        if path and not os.access(path, os.R_OK):
            raise BadSettings(f"{name} can not be read: {path}")
    if server.file_to_run:
        server.file_to_run = _below_root(server)
    if os.geteuid() == 0 and not server.allow_root and not (server.show_config or server.show_config_json):
        raise BadSettings("Running as root is not recommended. Use --allow-root to bypass.")
    _warn_of_no_effect(server)
    _warn_of_extensions(server)
    warn_of_misspelt_classes(server)


def _check_gateway(server: ServerApp) -> None:
    from jupyterd.gateway.settings import GatewayClient

    client = GatewayClient(parent=server)
    client.check()
    try:
        renewer = resolve(client.gateway_token_renewer_class)
    except ImportError as error:
        raise BadSettings(f"GatewayClient.gateway_token_renewer_class can not be imported: {error}") from error
    if not hasattr(renewer, "get_token"):
        raise BadSettings("GatewayClient.gateway_token_renewer_class must have a method get_token")
    if client.client_cert or client.ca_certs:
        from jupyterd.gateway.tls import BadCredentials, GatewayPolicy

        try:
            GatewayPolicy(client)
        except BadCredentials as error:
            raise BadSettings(f"GatewayClient: {error}") from error


def _check_socket(server: ServerApp) -> None:
    if sys.platform == "win32":
        raise BadSettings(f"Option --sock is not supported on Windows, but got value of {server.sock}.")
    if server.port not in (0, server.port_default_value):
        raise BadSettings("Options --port and --sock are mutually exclusive.")
    if server.file_to_run:
        raise BadSettings("Options --ServerApp.file_to_run and --sock are mutually exclusive.")
    if len(os.fsencode(server.sock)) > 107:
        raise BadSettings(f"the path of a UNIX socket has at most 107 bytes: {server.sock}")
    server.port = 0
    if server.open_browser:
        server.log.info("Ignoring --ServerApp.open_browser due to --sock being used.")


def _check_endpoints(server: ServerApp) -> None:
    from jupyterd.supervision.addresses.endpoints import BadEndpoint, check

    try:
        check(server.endpoints)
    except BadEndpoint as error:
        raise BadSettings(f"ServerApp.endpoints: {error}") from error


def _below_root(server: ServerApp) -> str:
    path = os.path.abspath(os.path.join(server.root_dir, server.file_to_run))
    if os.path.commonpath([path, server.root_dir]) != server.root_dir:
        raise BadSettings(
            "`root_dir` and `file_to_run` are incompatible. They don't share the same subtrees. "
            "Make sure `file_to_run` is on the same path as `root_dir`."
        )
    return path


def _warn_of_no_effect(server: ServerApp) -> None:
    for name in sorted(NO_EFFECT.keys() & set(server.config.get("ServerApp", {}))):
        if ours(getattr(server, name)) != server.trait_defaults(name):
            server.log.warning("ServerApp.%s has no effect here: %s.", name, NO_EFFECT[name])
    for section, given in server.config.items():
        for name in sorted(NO_EFFECT_ELSEWHERE.keys() & set(given)):
            server.log.warning("%s.%s has no effect here: %s.", section, name, NO_EFFECT_ELSEWHERE[name])


def _leave_to_the_host(server: ServerApp) -> None:
    """A contents manager that an extension brings is run with that extension."""
    named = server.contents_manager_class
    if not isinstance(named, str) or not server.extension_host:
        return
    tops = {name.partition(".")[0] for name in hosted(server.jpserver_extensions, JUPYTEXT, server.config)}
    if named.partition(".")[0] in tops:
        server.hosted_contents = named
        server.contents_manager_class = server.trait_defaults("contents_manager_class")


def _warn_of_extensions(server: ServerApp) -> None:
    for name in enabled(server.jpserver_extensions):
        if name in SERVED:
            continue
        if not is_installed(name):
            server.log.warning("The server extension %s is enabled, but not installed.", name)
        elif not server.extension_host and name not in (*JUPYTEXT, LANGUAGE_SERVERS):
            server.log.warning("The server extension %s is enabled, but ServerApp.extension_host is off.", name)
