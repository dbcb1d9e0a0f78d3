"""Browser: opened at the start, by a private file, so that no list of processes shows the token."""

from __future__ import annotations

import html
import os
import pathlib
from urllib.parse import quote, urlencode

from jupyterd.supervision.runtime_files import write_or_tell
from jupyterd.supervision.server_settings import Server
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


def open_browser(server: Server) -> None:
    """Start the operator's browser; blocks until it has started."""
    import webbrowser

    try:
        browser = webbrowser.get(server.browser or None)
    except webbrowser.Error as error:
        server.log.warning("No web browser found: %r.", error)
        return
    browser.open(_target(server), new=server.webbrowser_open_new)


def _target(server: Server) -> str:
    if not server.use_redirect_file:
        return file_url(server) if server.file_to_run else start_url(server)
    path = server.browser_open_file_to_run if server.file_to_run else server.browser_open_file
    return pathlib.Path(path).as_uri()


def write_open_file(server: Server) -> None:
    """``jpserver-<pid>-open.html``."""
    write_or_tell(server, server.browser_open_file, _PAGE.format(url=html.escape(start_url(server))))


def write_open_files(server: Server) -> None:
    """``jpserver-<pid>-open.html``, and one that opens ``file_to_run``."""
    write_open_file(server)
    if server.file_to_run:
        write_or_tell(server, server.browser_open_file_to_run, _PAGE.format(url=html.escape(file_url(server))))


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
