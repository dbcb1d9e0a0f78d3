"""Runtime files: by which tools and browsers find a running server."""

from __future__ import annotations

import html
import json
import os
from contextlib import suppress
from typing import Any
from urllib.parse import quote, urlencode

from jupyterd.supervision.server_settings import Server
from jupyterd.system.replace_file import replace_file
from jupyterd.utils import url_path_join

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="UTF-8">
<meta http-equiv="refresh" content="1;url={url}">
<title>Opening Jupyter</title>
</head>
<body><p>Jupyter should open now. If it does not, <a href="{url}">this is the way</a>.</p></body>
</html>
"""


def write_private(path: str, text: str) -> None:
    """Write a file that no other user can read; it appears with all of its text at once.

    :raises OSError: it can not be written.
    """
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    replace_file(path, text, keep=False)


def remove(path: str) -> None:
    """Remove a file that may be gone already, with its directory too."""
    with suppress(FileNotFoundError, NotADirectoryError):
        os.unlink(path)


def write_info(server: Server) -> None:
    """``jpserver-<pid>.json``, read by ``jupyter server list`` and many tools."""
    _attempt(server, server.info_file, json.dumps(server.server_info(), indent=2, sort_keys=True))


def write_open_file(server: Server) -> None:
    """``jpserver-<pid>-open.html``."""
    _attempt(server, server.browser_open_file, _PAGE.format(url=html.escape(start_url(server))))


def write_open_files(server: Server) -> None:
    """``jpserver-<pid>-open.html``, and one that opens ``file_to_run``."""
    write_open_file(server)
    if server.file_to_run:
        _attempt(server, server.browser_open_file_to_run, _PAGE.format(url=html.escape(file_url(server))))


def start_url(server: Server) -> str:
    """Where a browser starts, token included."""
    origin = server.connection_url.removesuffix(server.base_url)
    return _with_token(server, f"{origin}{server.default_path}")


def file_url(server: Server) -> str:
    """Where a browser shows ``file_to_run``, token included."""
    relative = os.path.relpath(server.file_to_run, server.root_dir).replace(os.sep, "/")
    return _with_token(server, url_path_join(server.connection_url, server.file_url_prefix, quote(relative)))


def _with_token(server: Server, url: str) -> str:
    token = server.identity_provider.token
    return f"{url}?{urlencode({'token': token})}" if token else url


def _attempt(server: Any, path: str, text: str) -> None:
    try:
        write_private(path, text)
    except OSError as error:
        server.log.error("Failed to write %s: %s", path, error)
