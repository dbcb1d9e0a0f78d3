"""Settings of the server itself: one line an operator writes, one trait. No behaviour beyond reading them."""

from __future__ import annotations

import os
import re
from ast import literal_eval
from typing import Any, cast

from traitlets import Any as AnyTrait
from traitlets import (
    Bool,
    Bytes,
    Dict,
    Enum,
    Float,
    Integer,
    List,
    TraitError,
    Unicode,
    Union,
    default,
    observe,
    validate,
)

from jupyterd.gateway import is_set
from jupyterd.log import Layout, level_number
from jupyterd.log_styles import STYLES
from jupyterd.settings.deprecated import MovedTraits
from jupyterd.settings.listen_traits import ListenTraits, absolute
from jupyterd.traittypes import ClassName
from jupyterd.utils import expand_path
from jupyterd.web.websocket.compression import Compression

_MEBIBYTE = 1024 * 1024


class ServerTraits(ListenTraits, MovedTraits):
    """Names and meanings are those of the Jupyter Server 2.21.

    :ivar find_extensions: extensions that have enabled themselves count.
    """

    find_extensions = True

    # -- what it takes

    base_url = Unicode("/", config=True, help="Path under which everything is served; its slashes may be left out.")
    trust_xheaders = Bool(
        False,
        config=True,
        help="Believe X-Forwarded-For/X-Real-Ip and X-Scheme/X-Forwarded-Proto of a proxy.",
    )
    max_body_size = Integer(512 * _MEBIBYTE, config=True, help="Largest request body in bytes; a larger one gets 413.")
    max_buffer_size = Integer(
        512 * _MEBIBYTE,
        config=True,
        help="Bytes of a request body that may be held in memory; more gets 413. What goes to disk does not count.",
    )
    min_open_files_limit = Integer(
        allow_none=True,
        config=True,
        help="The limit of open files is raised to this where the system allows it.",
    )

    # -- what is shown to people

    default_url = Unicode("/", config=True, help="Where / leads to.")
    custom_display_url = Unicode(
        "",
        config=True,
        help="URL to print instead of the server's own, as behind a proxy. The token is added.",
    )
    file_to_run = Unicode("", config=True, help="File to open in the browser at the start.")
    file_url_prefix = Unicode("notebooks", config=True, help="Path under which a file is opened.")
    open_browser = Bool(False, config=True, help="Open a browser at the start.")
    browser = Unicode("", config=True, help="The browser's name or command; else what Python's webbrowser finds.")
    webbrowser_open_new = Integer(2, config=True, help="2 opens a new tab, 1 a new window, 0 uses one that is open.")
    use_redirect_file = Bool(
        True,
        config=True,
        help="Open the browser by a private file: the list of processes does not show the token.",
    )
    no_browser_open_file = Bool(False, help="Write no such file.")
    quit_button = Bool(True, config=True, help="Let front ends show a button that stops the server.")
    websocket_url = Unicode("", config=True, help="Origin of websockets (ws[s]://host[:port]) where it is another one.")
    jinja_environment_options = Dict(config=True, help="More arguments for jinja2's Environment.")
    jinja_template_vars = Dict(config=True, help="More variables for templates.")
    extra_static_paths = List(Unicode(), config=True, help="Directories of static files that win over ours.")
    extra_template_paths = List(Unicode(), config=True, help="Directories of templates that win over ours.")
    static_custom_path = List(Unicode(), help="Directories with custom.js and custom.css.")
    static_immutable_cache = List(
        Unicode(), config=True, help="What the paths of static files that never change begin with, base_url included."
    )

    # -- who may do what

    allow_root = Bool(False, config=True, help="Let the server be run by root.")
    allow_origin = Unicode("", config=True, help="Origin whose pages may use the server ('*': all).")
    allow_origin_pat = Unicode("", config=True, help="Regular expression that the whole of an allowed origin matches.")
    allow_credentials = Bool(False, config=True, help="Let those pages send credentials.")
    allow_remote_access = Bool(
        config=True,
        help="""Answer requests whose Host header is not local. By default only where the server listens not on
        loopback alone; a web page that points its own name to this machine is refused in this way.""",
    )
    local_hostnames = List(Unicode(), ["localhost"], config=True, help="Host names that are local, besides addresses.")
    allow_unauthenticated_access = Bool(
        config=True,
        help="""Whether what has no rule of its own is open to everybody.
        (env: JUPYTER_SERVER_ALLOW_UNAUTHENTICATED_ACCESS)
        In jupyterd everything has one, so that True opens nothing. With False a stranger is asked to log in at paths
        that do not exist too, and does not learn which do.""",
    )
    disable_check_xsrf = Bool(
        False, config=True, help="Do without protection against forged requests of other sites. Dangerous with cookies."
    )
    authenticate_prometheus = Bool(True, config=True, help="Ask for a login before showing /metrics.")
    cookie_secret_file = Unicode(config=True, help="File with the secret that signs cookies; made when it is missing.")
    cookie_secret = Bytes(b"", config=True, help="The secret that signs cookies, where it is not to be kept in a file.")
    nbconvert_csp_sandbox = Bool(True, config=True, help="Serve converted notebooks in a sandbox of the browser.")

    # -- files and kernels

    root_dir = Unicode(config=True, help="Directory with users' files; also where kernels start.")
    preferred_dir = Unicode(config=True, help="Directory that is opened first. Use FileContentsManager.preferred_dir.")
    notebook_dir = Unicode(config=True, help="Deprecated, use root_dir.")
    keeper = Bool(
        None,
        allow_none=True,
        config=True,
        help="Whether kernels and terminals outlive the server, under a process of their own. None: where they can.",
    )
    kernels_at_stop = Enum(
        ["", "end", "keep"],
        "",
        config=True,
        help="What becomes of them when the server is stopped. Empty: 'keep' under a service manager, else 'end'.",
    )
    takeover = Bool(
        False,
        config=True,
        help="Take over from the server that runs with the same root_dir and port: its sockets, kernels and terminals.",
    )
    allow_external_kernels = Bool(False, config=True, help="Use kernels that others have started.")
    external_connection_dir = Unicode(
        None,
        allow_none=True,
        config=True,
        help="Where their connection files are; default: <runtime>/external_kernels.",
    )
    shutdown_no_activity_timeout = Integer(
        0, config=True, help="Seconds without kernels and activity after which the server stops itself; 0: never."
    )
    terminals_enabled = Bool(config=True, help="Offer terminals. Kernels can do all that terminals can.")
    terminado_settings = Dict(
        Union([List(), Unicode()]), config=True, help="Settings of terminals: shell_command is known."
    )
    websocket_compression_options = AnyTrait(
        None,
        config=True,
        help="""A dict, even an empty one, compresses websocket messages for clients that offer it: compression_level
        (-1 to 9, default 6), mem_level (1 to 9, default 8). None does not. Costs CPU, and 300 KiB a connection.""",
    )
    websocket_ping_interval = Integer(config=True, help="Seconds between pings on websockets; 0: the default.")
    websocket_ping_timeout = Integer(config=True, help="Seconds in which a ping is to be answered.")

    # -- classes, by dotted name: imported by who uses them

    authorizer_class = ClassName("jupyterd.auth.AllowAllAuthorizer", config=True, help="Who may do what.")
    config_manager_class = ClassName("jupyterd.config.ConfigManager", config=True, help="Front ends' settings.")
    contents_manager_class = ClassName(
        "jupyterd.contents.AsyncLargeFileManager",
        config=True,
        help="Users' files and notebooks.",
    )
    identity_provider_class = ClassName(
        "jupyterd.auth.PasswordIdentityProvider", config=True, help="Who a request comes from."
    )
    kernel_manager_class = ClassName(
        "jupyterd.kernels.AsyncMappingKernelManager", config=True, help="Starts and stops kernels."
    )
    kernel_spec_manager_class = ClassName(
        "jupyter_client.kernelspec.KernelSpecManager", config=True, help="Finds the kernels that are installed."
    )
    kernel_websocket_connection_class = ClassName(
        "jupyterd.kernels.ZMQChannelsWebsocketConnection", config=True, help="Websockets of kernels."
    )
    session_manager_class = ClassName(
        "jupyterd.sessions.SessionManager", config=True, help="Which notebook has which kernel."
    )

    @default("kernel_manager_class")
    def _default_kernel_manager_class(self) -> str:
        return self._here_or_there("kernel_manager_class", "GatewayMappingKernelManager")

    @default("kernel_websocket_connection_class")
    def _default_kernel_websocket_connection_class(self) -> str:
        return self._here_or_there("kernel_websocket_connection_class", "GatewayWebSocketConnection")

    @default("session_manager_class")
    def _default_session_manager_class(self) -> str:
        return self._here_or_there("session_manager_class", "GatewaySessionManager")

    def _here_or_there(self, trait: str, there: str) -> str:
        """The class for kernels that run here, or the one for a gateway's."""
        return f"jupyterd.gateway.{there}" if is_set(self.config) else str(self.traits()[trait].default_value)

    # -- extensions, logs, what concerns another engine

    jpserver_extensions = Dict(value_trait=Bool(), config=True, help="Extensions by module name: whether to load them.")
    server_extensions = Dict(config=True, help="Deprecated, use jpserver_extensions.")
    extension_host = Bool(
        True, config=True, help="Run server extensions written for the Jupyter Server, in a process of their own."
    )
    extension_host_start_timeout = Float(
        120.0, config=True, help="Seconds that the extensions' process may take to start, and each extension to load."
    )
    extension_host_wait = Float(60.0, config=True, help="Seconds for which a request waits for its extension to load.")
    extension_host_memory_limit = Integer(
        0, config=True, help="Bytes of resident memory at which the extensions' process is started anew; 0: no limit."
    )
    extension_host_stall_timeout = Float(
        300.0,
        config=True,
        help="Seconds for which an extension may block the others before their process is started anew; 0: for ever.",
    )
    extra_services = List(Unicode(), config=True, help="Modules with request handlers that win over the server's own.")
    reraise_server_extension_failures = Bool(False, config=True, help="Stop when an extension does not load.")
    record_http_request_metrics = Bool(True, config=True, help="Measure how long requests take, for /metrics.")
    extra_log_scrub_param_keys = List(
        Unicode(), config=True, help="More names of query parameters whose values never reach a log."
    )
    log_style = Enum(
        STYLES,
        "text",
        config=True,
        help="How the log is written: text (lines by log_format), json (one object a line) or journal (native fields "
        "of the systemd journal; text where there is none).",
    )
    log_levels = Dict(
        value_trait=Union([Integer(), Unicode()]),
        config=True,
        help="Levels by namespace, for it and all below it: {'jupyterd.kernels': 'DEBUG'}. Read again on SIGHUP.",
    )
    stall_seconds = Float(
        0.25,
        min=0.0,
        config=True,
        help="When the reactor is held for longer (seconds) the stack that holds it is logged, once a minute at most. "
        "0: it is not.",
    )
    autoreload = Bool(False, config=True, help="Restart when a Python file of the server or an extension changes.")
    tornado_settings = Dict(config=True, help="Settings of Tornado: headers are used, and what extensions read.")

    # -- defaults that depend on the machine

    @default("log_format")
    def _log_format_default(self) -> str:
        return Layout.format

    @default("allow_remote_access")
    def _allow_remote_default(self) -> bool:
        return self.listens_to_others()

    @default("allow_unauthenticated_access")
    def _unauthenticated_default(self) -> bool:
        return os.environ.get("JUPYTER_SERVER_ALLOW_UNAUTHENTICATED_ACCESS", "true").lower() in ("true", "yes", "")

    @default("terminals_enabled")
    def _terminals_enabled_default(self) -> bool:
        return bool(self.jpserver_extensions.get("jupyter_server_terminals", True))

    @default("cookie_secret_file")
    def _cookie_secret_file_default(self) -> str:
        return os.path.join(self.runtime_dir, "jupyter_cookie_secret")

    @default("static_custom_path")
    def _static_custom_path_default(self) -> list[str]:
        return [os.path.join(self.config_dir, "custom")]

    @default("min_open_files_limit")
    def _min_open_files_default(self) -> int | None:
        try:
            from resource import RLIMIT_NOFILE, getrlimit
        except ImportError:
            return None
        soft, hard = getrlimit(RLIMIT_NOFILE)
        return 4096 if hard >= 4096 or hard < 0 else soft

    @default("root_dir")
    def _root_dir_default(self) -> str:
        if self.file_to_run:
            return os.path.dirname(os.path.abspath(self.file_to_run))
        return os.getcwd()

    @default("preferred_dir")
    def _preferred_dir_default(self) -> str:
        return self.root_dir

    # -- values that are not taken as they are

    @validate("log_format")
    def _valid_log_format(self, proposal: Any) -> str:
        try:
            return Layout(proposal.value).format
        except ValueError as error:
            raise TraitError(str(error)) from None

    @validate("log_levels")
    def _valid_log_levels(self, proposal: Any) -> dict[str, int]:
        try:
            return {name: level_number(level) for name, level in proposal.value.items()}
        except ValueError as error:
            raise TraitError(f"log_levels: {error}") from None

    @validate("allow_origin_pat")
    def _valid_pattern(self, proposal: Any) -> str:
        try:
            re.compile(proposal.value)
        except re.error as error:
            raise TraitError(f"allow_origin_pat {proposal.value!r} is no regular expression: {error}") from None
        return cast(str, proposal.value)

    @validate("tornado_settings")
    def _valid_tornado_settings(self, proposal: Any) -> dict[str, Any]:
        if not isinstance(proposal.value.get("headers") or {}, dict):
            raise TraitError("tornado_settings: its headers must be a dict")
        return cast(dict[str, Any], proposal.value)

    @validate("base_url")
    def _valid_base_url(self, proposal: Any) -> str:
        path = proposal.value.strip("/")
        return f"/{path}/" if path else "/"

    @validate("websocket_compression_options")
    def _valid_compression(self, proposal: Any) -> Any:
        try:
            # A command line gives the text of a dict.
            value = literal_eval(proposal.value) if isinstance(proposal.value, str) else proposal.value
            Compression.of(value)
        except (ValueError, SyntaxError) as error:
            raise TraitError(f"websocket_compression_options: {error}") from None
        return value

    @validate("cookie_secret_file", "external_connection_dir")
    def _valid_path(self, proposal: Any) -> str | None:
        return absolute(proposal.value)

    @validate("root_dir", "preferred_dir")
    def _valid_directory(self, proposal: Any) -> str:
        path = os.path.abspath(expand_path(proposal.value))
        if not os.path.isdir(path):
            what = "preferred dir" if proposal.trait.name == "preferred_dir" else "directory"
            raise TraitError(f"No such {what}: {path!r}")
        return path

    @observe("notebook_dir")
    def _notebook_dir_given(self, change: Any) -> None:
        if "root_dir" in self.config.get("ServerApp", {}):
            return  # the new name wins
        self.log.warning("notebook_dir is deprecated, use root_dir")
        self.root_dir = change.new

    @observe("server_extensions")
    def _server_extensions_given(self, change: Any) -> None:
        self.log.warning("server_extensions is deprecated, use jpserver_extensions")
        self.jpserver_extensions = {**change.new, **self.jpserver_extensions}
