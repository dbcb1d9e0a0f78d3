"""Host, Origin and Referer rules: who may talk to this server from which page (pure).

A browser tells where a request comes from; these rules keep foreign pages, and names that an attacker points at
this machine (DNS rebinding), away from a user's session.
"""

from __future__ import annotations

import ipaddress
import os
import re
import stat
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+(?:%25[\w.~-]+)?\]|[A-Za-z0-9._~%!$&'()*+;=-]*)(?::(\d{1,5}))?")


def split_host(host: str) -> str | None:
    """The name or address in a Host header, without port and brackets; None when it is not a host at all."""
    match = _HOST.fullmatch(host)
    if match is None:
        return None
    name = match[1]
    return name[1:-1] if name.startswith("[") else name


@dataclass(frozen=True)
class OriginRules:
    """The settings that say which hosts and origins are let in.

    :param allow_remote_access: any Host is fine: the server listens to the network on purpose.
    :param local_hostnames: names, beside loopback addresses, under which this server is reached.
    :param allow_origin: one origin that may call across origins, or ``*``.
    :param allow_origin_pat: the same by pattern; the whole origin must match.
    :param allow_credentials: such calls may carry cookies.
    """

    allow_remote_access: bool = False
    local_hostnames: tuple[str, ...] = ("localhost",)
    allow_origin: str = ""
    allow_origin_pat: re.Pattern[str] | None = None
    allow_credentials: bool = False
    _known: dict[str, bool] = field(default_factory=dict, repr=False, compare=False)

    def host_allowed(self, host: str) -> bool:
        """Whether a request for ``host`` is for us (else a foreign name was pointed at this machine)."""
        if self.allow_remote_access:
            return True
        known = self._known.get(host)
        if known is None:
            known = self._host_is_local(host)
            if len(self._known) < 64 and len(host) < 256:  # strangers choose Host headers: keep few, and small
                self._known[host] = known
        return known

    def _host_is_local(self, host: str) -> bool:
        name = split_host(host)
        if name is None:
            return False
        socket_path = unquote(name)
        if socket_path.startswith("/") and _is_socket(socket_path):
            return True  # a client of a UNIX socket names its path
        try:
            return ipaddress.ip_address(name).is_loopback
        except ValueError:
            return name.lower() in self.local_hostnames

    def origin_listed(self, origin: str) -> bool:
        """Whether the settings let pages of ``origin`` call across origins."""
        if self.allow_origin:
            return self.allow_origin == "*" or self.allow_origin == origin
        return self.allow_origin_pat is not None and self.allow_origin_pat.fullmatch(origin) is not None

    def origin_allowed(self, origin: str | None, host: str | None) -> bool:
        """Whether a request may come from ``origin``: none given (scripts), our own, or a listed one."""
        if self.allow_origin == "*" or origin is None or not host:
            return True
        origin = origin.lower()
        return _authority(origin) == host.lower() or self.origin_listed(origin)

    def referer_allowed(self, referer: str | None, host: str | None) -> bool:
        """Whether a page may embed what only its owner may read; it must say who it is."""
        if self.allow_origin == "*":
            return True
        if not referer or not host:
            return False
        authority = _authority(referer)
        if authority is None:
            return False
        if authority == host.lower():
            return True
        return self.origin_listed(f"{urlsplit(referer).scheme}://{authority}")

    def cors_origin(self, origin: str | None, by_token: bool) -> str | None:
        """The value of ``Access-Control-Allow-Origin``; None for no such header.

        :param by_token: the request showed a token, which a foreign page can not have by itself.
        """
        if self.allow_origin:
            return self.allow_origin
        if self.allow_origin_pat is not None:
            return origin if origin and self.origin_listed(origin) else None
        return origin if by_token and origin else None


def _is_socket(path: str) -> bool:
    try:
        return stat.S_ISSOCK(os.stat(path).st_mode)
    except (OSError, ValueError):
        return False


def _authority(url: str) -> str | None:
    """Host and port of a URL as a browser writes them; None for ``null`` and for what is not a URL."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not parts.netloc or "@" in parts.netloc:
        return None
    return parts.netloc.lower()
