"""Small tools that extensions import: URLs, paths, processes, requests to a server."""

from __future__ import annotations

import errno
import importlib
import importlib.util
import os
import re
import socket
import sys
import warnings
from collections.abc import Awaitable, Sequence
from typing import TYPE_CHECKING, Any, NewType, TypeVar, cast
from urllib.parse import quote, unquote, urljoin, urlparse

if TYPE_CHECKING:
    from urllib.request import pathname2url

    from jupyterd.system.http_client import Response

ApiPath = NewType("ApiPath", str)
T = TypeVar("T")

__all__ = [
    "ApiPath",
    "JupyterServerAuthWarning",
    "async_fetch",
    "check_pid",
    "check_version",
    "ensure_async",
    "expand_path",
    "fetch",
    "filefind",
    "import_item",
    "is_namespace_package",
    "origin_matches_pat",
    "path2url",
    "pathname2url",
    "run_sync_in_loop",
    "samefile_simple",
    "to_api_path",
    "to_os_path",
    "unix_socket_in_use",
    "url2path",
    "url_escape",
    "url_is_absolute",
    "url_path_join",
    "url_unescape",
    "urldecode_unix_socket_path",
    "urlencode_unix_socket",
    "urlencode_unix_socket_path",
    "urljoin",
]


def __getattr__(name: str) -> Any:
    """``pathname2url``, whose module brings an HTTP client."""
    if name != "pathname2url":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from urllib.request import pathname2url

    return pathname2url


class JupyterServerAuthWarning(RuntimeWarning):
    """Something about authentication is set in a way that nobody can want."""


# -- URLs


def urlencode_unix_socket_path(socket_path: str) -> str:
    """The path of a UNIX socket as the host of an ``http+unix`` URL."""
    return socket_path.replace("/", "%2F")


def urldecode_unix_socket_path(socket_path: str) -> str:
    """The path of the UNIX socket that such a host stands for."""
    return socket_path.replace("%2F", "/")


def urlencode_unix_socket(socket_path: str) -> str:
    """The ``http+unix`` URL of a UNIX socket."""
    return f"http+unix://{urlencode_unix_socket_path(socket_path)}"


def url_path_join(*pieces: str) -> str:
    """Join parts of a path by single slashes; a slash at the very beginning and end stays."""
    joined = "/".join(part for part in (piece.strip("/") for piece in pieces) if part)
    before = "/" if pieces[0].startswith("/") else ""
    after = "/" if pieces[-1].endswith("/") else ""
    return f"{before}{joined}{after}" if joined else before or after


def url_is_absolute(url: str) -> bool:
    """Whether the path of ``url`` begins with a slash."""
    return urlparse(url).path.startswith("/")


def url_escape(path: str) -> str:
    """``/foo bar/`` → ``/foo%20bar/``; slashes stay."""
    return quote(path, safe="/")


def url_unescape(path: str) -> str:
    """``/foo%20bar/`` → ``/foo bar/``."""
    return "/".join(unquote(part) for part in path.split("/"))


def path2url(path: str) -> str:
    """A local path as a URL's path; a slash at the end stays."""
    escaped = [quote(piece) for piece in path.split(os.sep)]
    if escaped[-1] == "":
        escaped[-1] = "/"
    return url_path_join(*escaped)


def url2path(url: str) -> str:
    """A URL's path as a local path."""
    return os.path.join(*(unquote(piece) for piece in url.split("/")))


def origin_matches_pat(allow_origin_pat: str, origin: str) -> bool:
    """Whether the pattern matches the whole of ``origin``; warns when it matches only its beginning."""
    if not allow_origin_pat:
        return False
    if re.fullmatch(allow_origin_pat, origin):
        return True
    if re.match(allow_origin_pat, origin):
        warnings.warn(
            f"allow_origin_pat {allow_origin_pat!r} matches the beginning of the origin only, which is not enough: "
            "add '.*' to it if that is what you want",
            UserWarning,
            stacklevel=2,
        )
    return False


# -- paths


def expand_path(s: str) -> str:
    """``$VARS`` and ``~names`` expanded, as a shell does it."""
    return os.path.expandvars(os.path.expanduser(s))


def samefile_simple(path: str, other_path: str) -> bool:
    """Whether two paths name the same file: the same name but for case, and the same stat."""
    return path.lower() == other_path.lower() and os.stat(path) == os.stat(other_path)


def to_os_path(path: ApiPath, root: str = "") -> str:
    """The file below ``root`` (a local path) that an API path (slashes, relative) names."""
    return os.path.normpath(os.path.join(root, *filter(None, str(path).split("/"))))


def to_api_path(os_path: str, root: str = "") -> ApiPath:
    """The API path of a local path; ``root`` is taken off its beginning."""
    return ApiPath("/".join(filter(None, os_path.removeprefix(root).split(os.path.sep))))


def filefind(filename: str, path_dirs: Sequence[str]) -> str:
    """The absolute path of the first ``filename`` below one of ``path_dirs``; never of a file outside of them.

    :raises OSError: ``filename`` is absolute, or in none of the directories.
    """
    if os.path.isabs(filename):
        raise OSError(f"{filename} is absolute, only relative paths are looked for")
    for directory in path_dirs:
        root = os.path.abspath(directory)
        found = os.path.abspath(os.path.join(root, filename))
        # Asking the system about a path outside may already tell something, so it is not asked.
        if os.path.commonpath([root, found]) == root and os.path.isfile(found):
            return found
    raise OSError(f"File {filename!r} does not exist in any of the search paths: {path_dirs!r}")


# -- Python


def check_version(v: str, check: str) -> bool:
    """Whether version ``v`` is at least ``check``; one that can not be read counts as new enough."""
    from packaging.version import InvalidVersion, Version

    try:
        return Version(v) >= Version(check)
    except (TypeError, InvalidVersion):
        return True


def import_item(name: str) -> Any:
    """What ``from foo import bar`` gives for ``foo.bar``; a name without dots is a module.

    :raises ImportError: there is no such thing.
    """
    module, dot, item = name.rpartition(".")
    if not dot:
        return importlib.import_module(name)
    found = importlib.import_module(module)
    try:
        return getattr(found, item)
    except AttributeError:
        pass
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        raise ImportError(f"No module named {item} in {module}") from None


def is_namespace_package(namespace: str) -> bool | None:
    """Whether it is a package without ``__init__`` (PEP 420); None if it can not be imported."""
    try:
        spec = importlib.util.find_spec(namespace)
    except ValueError:  # a module that has no spec
        return None
    if spec is None:
        return None
    return bool(spec.origin is None and spec.submodule_search_locations)


async def ensure_async(maybe_async: Awaitable[T] | T) -> T:
    """Await what can be awaited, give back what can not."""
    if hasattr(maybe_async, "__await__"):
        return cast(T, await maybe_async)
    return maybe_async


async def run_sync_in_loop(maybe_async: Any) -> Any:
    """The old name of :func:`ensure_async`."""
    warnings.warn("run_sync_in_loop is deprecated, use ensure_async", DeprecationWarning, stacklevel=2)
    return await ensure_async(maybe_async)


# -- processes and sockets


def check_pid(pid: int) -> bool:
    """Whether a process of this number exists, ours or not.

    :raises OSError: the system does not say.
    """
    if sys.platform == "win32":
        import ctypes

        return bool(ctypes.windll.kernel32.OpenProcess(1, 0, pid))
    try:
        os.kill(pid, 0)
    except OSError as error:
        if error.errno not in (errno.ESRCH, errno.EPERM):
            raise
        return error.errno == errno.EPERM  # it exists, and is somebody else's
    return True


def unix_socket_in_use(socket_path: str) -> bool:
    """Whether somebody answers at that UNIX socket."""
    if not os.path.exists(socket_path):
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        try:
            client.connect(socket_path)
        except OSError:
            return False
    return True


# -- requests


def fetch(urlstring: str, method: str = "GET", body: Any = None, headers: Any = None) -> Response:
    """Ask an ``http``, ``https`` or ``http+unix`` URL and wait; see :func:`jupyterd.system.http_client.fetch`."""
    from jupyterd.system.http_client import fetch

    return fetch(urlstring, method=method, body=body, headers=headers)


async def async_fetch(
    urlstring: str, method: str = "GET", body: Any = None, headers: Any = None, io_loop: Any = None
) -> Response:
    """The same in a coroutine of ours: the reactor goes on meanwhile. ``io_loop`` is not used."""
    from twisted.internet.threads import deferToThread

    return await deferToThread(fetch, urlstring, method=method, body=body, headers=headers)
