"""Proxy headers: the client's address and scheme, as a trusted reverse proxy tells them (pure)."""

from __future__ import annotations

from ipaddress import ip_address

PROXY_HEADERS = ("x-forwarded-for", "x-real-ip", "x-forwarded-proto", "x-scheme", "forwarded", "via")
"""Headers by which a proxy says that it stands between."""


def client_address(peer: str, forwarded_for: str | None, real_ip: str | None) -> str:
    """The client's address: X-Real-IP, else the last of X-Forwarded-For, the one that our own proxy wrote.

    :param peer: the address at the other end of the connection, for when they say nothing that is an address.
    """
    told = real_ip or (forwarded_for or "").rpartition(",")[2]
    try:
        return str(ip_address(told.strip()))
    except ValueError:
        return peer


def client_scheme(own: str, scheme: str | None, forwarded_proto: str | None) -> str:
    """``http`` or ``https``: X-Scheme, else the last of X-Forwarded-Proto.

    :param own: how the connection itself is made, for when they say neither.
    """
    told = (scheme or forwarded_proto or "").rpartition(",")[2].strip().lower()
    return told if told in ("http", "https") else own
