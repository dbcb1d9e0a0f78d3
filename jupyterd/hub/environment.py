"""Environment of a server that a Hub starts: the ``JUPYTERHUB_*`` variables, as settings (pure)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

PROVIDER = "jupyterd.hub.identity.JupyterHubIdentityProvider"
MARK = "JUPYTERD_HUB_SERVER"
"""Holds the pid of the server that a Hub has started: what runs below it inherits the Hub's variables too."""
NEEDED = ("JUPYTERHUB_SERVICE_URL", "JUPYTERHUB_SERVICE_PREFIX", "JUPYTERHUB_API_TOKEN", "JUPYTERHUB_CLIENT_ID")
PORTS = {"http": 80, "https": 443}


def is_set(environ: Mapping[str, str]) -> bool:
    """Whether a Hub has started this process to be a user's server.

    Not where it is a child of such a server: somebody has started it in a terminal there.
    """
    if not environ.get("JUPYTERHUB_SERVICE_PREFIX"):
        return False
    return environ.get(MARK) in (None, str(os.getpid()))


def missing(environ: Mapping[str, str]) -> list[str]:
    """The variables without which a server of a Hub can not be."""
    return [name for name in NEEDED if not environ.get(name)]


def flag(environ: Mapping[str, str], name: str, default: bool = False) -> bool:
    """A variable that says yes or no: ``0``, ``false``, ``no`` and ``off`` are no, in any case."""
    text = environ.get(name, "").strip().lower()
    return default if not text else text not in ("0", "false", "no", "off")


def settings_of(environ: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Settings by class; they win over configuration files, as the Hub decides where its servers are.

    :raises ValueError: ``JUPYTERHUB_SERVICE_URL`` is no URL.
    """
    server: dict[str, Any] = {
        "allow_remote_access": True,
        "answer_yes": True,
        "identity_provider_class": PROVIDER,
        "open_browser": False,
        "port_retries": 0,
        "quit_button": False,
        "trust_xheaders": True,
        "base_url": environ.get("JUPYTERHUB_SERVICE_PREFIX") or "/",
        **_place(environ.get("JUPYTERHUB_SERVICE_URL", "")),
        **_tls(environ),
    }
    root = environ.get("JUPYTERHUB_ROOT_DIR") or environ.get("JUPYTERHUB_NOTEBOOK_DIR")
    if root:
        server["root_dir"] = os.path.expanduser(root)
    if flag(environ, "JUPYTERHUB_DEBUG"):
        server["log_level"] = "DEBUG"
    return {"ServerApp": server, "FileContentsManager": {"delete_to_trash": False}}


def defaults_of(environ: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Settings by class that a configuration file wins over: people choose where they begin."""
    url = environ.get("JUPYTERHUB_DEFAULT_URL")
    return {"ServerApp": {"default_url": url}} if url else {}


def _place(url: str) -> dict[str, Any]:
    """Address and port to listen on; no host stands for all addresses."""
    if not url:
        return {}
    parts = urlsplit(url)
    port = parts.port or PORTS.get(parts.scheme)
    if port is None:
        raise ValueError(f"JUPYTERHUB_SERVICE_URL is no URL with a port: {url}")
    return {"ip": parts.hostname or "", "port": port}


def _tls(environ: Mapping[str, str]) -> dict[str, str]:
    return {
        "keyfile": environ.get("JUPYTERHUB_SSL_KEYFILE", ""),
        "certfile": environ.get("JUPYTERHUB_SSL_CERTFILE", ""),
        "client_ca": environ.get("JUPYTERHUB_SSL_CLIENT_CA", ""),
    }
