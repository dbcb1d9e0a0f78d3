"""Settings of the gateway: where it is and how it is spoken to, by the names that operators already write."""

from __future__ import annotations

import json
import os
from typing import Any
from urllib.parse import urlsplit

from traitlets import Bool, Float, Integer, TraitError, TraitType, Unicode, default, observe, validate
from traitlets.config import LoggingConfigurable

from jupyterd.gateway import ENVIRONMENT
from jupyterd.traittypes import ClassName

MIB = 1024 * 1024
LAUNCH_TIMEOUT = "KERNEL_LAUNCH_TIMEOUT"
NO_RENEWER = "jupyterd.gateway.NoOpTokenRenewer"

_FILES = ("client_key", "client_cert", "ca_certs")
_POSITIVE = ("connect_timeout", "request_timeout", "gateway_retry_interval", "gateway_retry_interval_max")


class _FromEnvironment(TraitType[Any, Any]):
    """A trait whose default ``JUPYTER_GATEWAY_<name>`` sets."""

    def __init__(self, name: str, value: Any, meaning: str) -> None:
        self.variable = ENVIRONMENT + name
        super().__init__(value, allow_none=isinstance(self, Unicode), help=f"{meaning} (env: {self.variable})")
        self.tag(config=True)

    def default(self, obj: Any = None) -> Any:
        """The variable's value, else the trait's own."""
        text = os.environ.get(self.variable)
        return super().default(obj) if text is None else self.read(text)

    def read(self, text: str) -> Any:
        """A variable's text as this trait's value."""
        return text


class _Number(_FromEnvironment):
    def read(self, text: str) -> Any:
        try:
            return self.from_string(text)
        except ValueError:
            raise TraitError(f"{self.variable} must be a number, not {text!r}") from None


class Text(_FromEnvironment, Unicode[Any, Any]):
    """Text trait whose default is an environment variable's value."""


class Seconds(_Number, Float[Any, Any]):
    """Trait of seconds whose default is an environment variable's value."""


class Count(_Number, Integer[Any, Any]):
    """Whole number trait whose default is an environment variable's value."""


class DottedClass(_FromEnvironment, ClassName):
    """Class trait whose default is named by an environment variable."""


class Switch(_FromEnvironment, Bool[Any, Any]):
    """Boolean trait whose default is an environment variable's value."""

    def read(self, text: str) -> bool:
        """False for ``no`` and ``false``, as the reference reads them."""
        return text not in ("no", "false")


class GatewayClient(LoggingConfigurable):
    """How kernels and kernelspecs of a gateway are reached. Times are seconds, sizes are bytes."""

    url = Text("URL", None, "Address of the gateway that runs kernels and has the kernelspecs; http, https, http+unix.")
    ws_url = Text("WS_URL", None, "The same for websockets; default: url with ws in place of http.")
    kernels_endpoint = Text("KERNELS_ENDPOINT", "/api/kernels", "Path of its kernels.")
    kernelspecs_endpoint = Text("KERNELSPECS_ENDPOINT", "/api/kernelspecs", "Path of its kernelspecs.")
    kernelspecs_resource_endpoint = Text(
        "KERNELSPECS_RESOURCE_ENDPOINT", "/kernelspecs", "Path of its kernelspecs' files."
    )
    connect_timeout = Seconds("CONNECT_TIMEOUT", 40.0, "that connecting may take.")
    request_timeout = Seconds(
        "REQUEST_TIMEOUT",
        42.0,
        f"that an answer may take; at least ${LAUNCH_TIMEOUT} (40) and launch_timeout_pad together.",
    )
    client_key = Text("CLIENT_KEY", None, "File with the key (PEM) of client_cert.")
    client_cert = Text("CLIENT_CERT", None, "File with the certificate (PEM) to show to the gateway.")
    ca_certs = Text("CA_CERTS", None, "File with the authorities (PEM) to trust; default: the system's.")
    http_user = Text("HTTP_USER", None, "User for HTTP basic authentication; also the default of $KERNEL_USERNAME.")
    http_pwd = Text("HTTP_PWD", None, "Password for HTTP basic authentication.")
    headers = Text("HEADERS", "{}", "More HTTP headers for each request, as a JSON object.")
    auth_header_key = Text("AUTH_HEADER_KEY", "Authorization", "The header that holds auth_token.")
    auth_token = Text("AUTH_TOKEN", "", "The token to show to the gateway.")
    auth_scheme = Text("AUTH_SCHEME", "token", "What stands before the token in the header; empty or None: nothing.")
    validate_cert = Switch("VALIDATE_CERT", True, "Whether the gateway's certificate must be valid.")
    allowed_envs = Text(
        "ALLOWED_ENVS", "", "Variables, separated by commas, that kernels get beside those that begin with KERNEL_."
    )
    env_whitelist = Unicode("", config=True, help="Deprecated, use GatewayClient.allowed_envs.")
    gateway_retry_interval = Seconds(
        "RETRY_INTERVAL", 1.0, "before a lost websocket is opened again; twice as many each further time."
    )
    gateway_retry_interval_max = Seconds("RETRY_INTERVAL_MAX", 30.0, "that these become at most.")
    gateway_retry_max = Count(
        "RETRY_MAX",
        5,
        "How often that is tried. After that a websocket is opened as soon as the gateway answers requests.",
    )
    launch_timeout_pad = Seconds("LAUNCH_TIMEOUT_PAD", 2.0, "that request_timeout is above a kernel's launch timeout.")
    accept_cookies = Switch("ACCEPT_COOKIES", False, "Whether the gateway's cookies are kept and sent back.")
    gateway_token_renewer_class = DottedClass("TOKEN_RENEWER_CLASS", NO_RENEWER, "Gives the token before each request.")
    poll_interval = Float(
        10.0,
        config=True,
        help="How often the gateway is asked which kernels it has, while one of ours runs there: it may "
        "end one without a word. jupyterd's own.",
    )
    answer_limit = Integer(16 * MIB, config=True, help="A larger answer is not taken. jupyterd's own.")
    max_message_size = Integer(
        256 * MIB, config=True, help="A larger message of a kernel is not taken, 0: any. jupyterd's own."
    )

    @default("ws_url")
    def _default_ws_url(self) -> str | None:
        given = os.environ.get(f"{ENVIRONMENT}WS_URL")
        if given is None and self.url:
            return "ws" + str(self.url)[len("http") :]
        return given

    @default("allowed_envs")
    def _default_allowed_envs(self) -> str:
        return os.environ.get(f"{ENVIRONMENT}ALLOWED_ENVS") or os.environ.get(f"{ENVIRONMENT}ENV_WHITELIST", "")

    @observe("env_whitelist")
    def _renamed(self, change: Any) -> None:
        if change["new"] != self.allowed_envs:
            self.log.warning("GatewayClient.env_whitelist is deprecated, use GatewayClient.allowed_envs.")
            self.allowed_envs = change["new"]

    @validate("url", "ws_url")
    def _check_url(self, proposal: Any) -> Any:
        name, value = proposal["trait"].name, proposal["value"]
        if not value:
            return value
        schemes = ("http", "https", "http+unix") if name == "url" else ("ws", "wss", "ws+unix")
        try:
            parts = urlsplit(value)
            right = parts.scheme.lower() in schemes and bool(parts.hostname) and parts.port != 0
        except ValueError:
            right = False
        if not right or not value.isascii() or any(character <= " " for character in value):
            raise TraitError(f"GatewayClient.{name} must begin with {schemes[0]}:// or {schemes[1]}:// and name a host")
        if parts.query or parts.fragment:
            raise TraitError(f"GatewayClient.{name} can have no query: {parts.hostname}")
        return value.rstrip("/")

    @validate("headers")
    def _check_headers(self, proposal: Any) -> Any:
        _headers_of(proposal["value"])
        return proposal["value"]

    @validate(*_FILES)
    def _check_file(self, proposal: Any) -> Any:
        path = proposal["value"]
        if path and not os.access(path, os.R_OK):
            raise TraitError(f"GatewayClient.{proposal['trait'].name} can not be read: {path}")
        return path

    @validate(*_POSITIVE, "poll_interval", "answer_limit")
    def _check_positive(self, proposal: Any) -> Any:
        if proposal["value"] <= 0:
            raise TraitError(f"GatewayClient.{proposal['trait'].name} must be above 0")
        return proposal["value"]

    def check(self) -> None:
        """Read each setting, the environment's too.

        :raises TraitError: one has no value that can be used.
        """
        for name in self.trait_names(config=True):
            setattr(self, name, getattr(self, name))  # a default is validated when it is set

    # -- what follows from them

    @property
    def extra_headers(self) -> dict[str, str]:
        """``headers``, decoded."""
        return _headers_of(self.headers)

    @property
    def environment_names(self) -> frozenset[str]:
        """``allowed_envs``, split."""
        return frozenset(name.strip() for name in str(self.allowed_envs or "").split(","))

    @property
    def patience(self) -> tuple[float, int]:
        """How long an answer may take, and how long the gateway may take to launch a kernel.

        As the reference has it: the larger of the two settings counts, with the pad between them.
        """
        try:
            launch = int(os.environ.get(LAUNCH_TIMEOUT, "40"))
        except ValueError:
            launch = 40
        least = launch + self.launch_timeout_pad
        if self.request_timeout < least:
            return least, launch
        return self.request_timeout, int(self.request_timeout - self.launch_timeout_pad)

    @property
    def shown_url(self) -> str:
        """``url`` without a name and password in it."""
        parts = urlsplit(self.url)
        return str(parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl())


def _headers_of(text: str | None) -> dict[str, str]:
    try:
        found = json.loads(text or "{}")
    except ValueError:
        found = None
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise TraitError("GatewayClient.headers must be a JSON object whose values are strings")
    return found
