"""Running servers: found by their info files, stopped by request or signal."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from jupyter_core.paths import jupyter_runtime_dir

from jupyterd.utils import check_pid, fetch, url_path_join, urldecode_unix_socket_path

_POLLS_A_SECOND = 10


def list_running_servers(runtime_dir: str | None = None, log: Any = None) -> Iterator[dict[str, Any]]:
    """What each running server has written about itself; files of processes that are gone are removed.

    :param runtime_dir: where they write it, by default this user's.
    """
    directory = jupyter_runtime_dir() if runtime_dir is None else runtime_dir
    if not os.path.isdir(directory):
        return
    for name in sorted(os.listdir(directory)):
        if not re.fullmatch(r"jpserver-(.+)\.json", name):
            continue
        path = os.path.join(directory, name)
        try:
            with open(path, encoding="utf-8") as file:
                info = json.load(file)
        except (OSError, ValueError):
            continue  # it is just being written or removed
        if isinstance(info, dict) and "pid" in info and check_pid(info["pid"]):
            yield info
        else:
            _forget(path, log)


def listens_on(info: dict[str, Any], where: str | int) -> bool:
    """Whether a server listens on a port or on the socket at an absolute path, by what it has written about itself."""
    if str(where) in (str(info.get("port")), info.get("sock")) and str(where) not in ("0", ""):
        return True
    for url in info.get("more_urls", ()):
        parts = urlsplit(url)
        if parts.scheme == "http+unix" and urldecode_unix_socket_path(parts.netloc) == str(where):
            return True
        if parts.scheme in ("http", "https") and str(parts.port) == str(where):
            return True
    return False


def _forget(path: str, log: Any) -> None:
    try:
        os.unlink(path)
        with suppress(FileNotFoundError):
            os.unlink(f"{path.removesuffix('.json')}-open.html")
    except OSError as error:
        if log:
            log.warning("Deleting server info file failed: %s.", error)


def shutdown_server(server_info: dict[str, Any], timeout: float = 5, log: Any = None, kernels: str = "default") -> bool:
    """Stop a server: by asking it, then by SIGTERM, then by SIGKILL, each after ``timeout`` seconds.

    A server that refuses or does not answer gets the signal at once.

    :param server_info: what :func:`list_running_servers` gives.
    :param kernels: what becomes of its kernels: ``end``, ``keep``, or what it does by itself.
    :returns: whether it is stopped (only Windows can fail).
    """
    url = server_info["url"]
    pid = server_info["pid"]
    if log:
        log.debug("POST request to %sapi/shutdown", url)
    try:
        fetch(
            url_path_join(url, f"api/shutdown?kernels={kernels}"),
            method="POST",
            body=b"",
            headers={"Authorization": f"token {server_info['token']}"},
        )
    except Exception as error:  # noqa: BLE001 - whatever it is, the signal is left
        if log:
            log.warning("%s does not stop when asked: %s", url, error)
    else:
        if _is_gone(pid, timeout):
            return True
    if sys.platform == "win32":
        return False
    if log:
        log.debug("SIGTERM to PID %s", pid)
    os.kill(pid, signal.SIGTERM)
    if _is_gone(pid, timeout):
        return True
    if log:
        log.debug("SIGKILL to PID %s", pid)
    os.kill(pid, signal.SIGKILL)
    return True


def _is_gone(pid: int, timeout: float) -> bool:
    for _ in range(int(timeout * _POLLS_A_SECOND)):
        if not check_pid(pid):
            return True
        time.sleep(1 / _POLLS_A_SECOND)
    return False
