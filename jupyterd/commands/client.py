"""A server that runs, as commands ask it."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit, urlunsplit

from jupyterd.supervision.running_servers import list_running_servers
from jupyterd.system.http_client import HTTPError, fetch


class CommandError(Exception):
    """What a command can not do, in a sentence for its user."""


class NoAnswer(CommandError):
    """The server is not there, or is not one."""


class Unknown(CommandError):
    """The server knows of no such thing."""


@dataclass(frozen=True)
class ServerClient:
    """Asks one server.

    :param url: what all its URLs begin with.
    :param root_dir: where its files lie, if it is of this machine.
    """

    url: str
    token: str = ""
    root_dir: str | None = None

    @classmethod
    def at(cls, url: str) -> ServerClient:
        """The server of a URL; its token may be in it, or in ``JUPYTER_TOKEN``."""
        parts = urlsplit(url)
        token = parse_qs(parts.query).get("token", [os.environ.get("JUPYTER_TOKEN", "")])[0]
        return cls(urlunsplit((parts.scheme, parts.netloc, parts.path, "", "")).rstrip("/") + "/", token)

    @classmethod
    def for_file(cls, os_path: str, runtime_dir: str | None = None) -> ServerClient:
        """The server of this machine whose files a path is among; of several, the one that is nearest.

        :raises CommandError: there is none.
        """
        found = [
            cls(str(info["url"]), str(info.get("token") or ""), str(info["root_dir"]))
            for info in list_running_servers(runtime_dir)
            if is_below(os_path, str(info.get("root_dir", "")))
        ]
        if not found:
            raise CommandError(f"No server runs for {os_path}. Start one, or give its --server.")
        return max(found, key=lambda client: len(client.root_dir or ""))

    def api_path(self, os_path: str) -> str:
        """What this server calls a file of this machine."""
        assert self.root_dir is not None
        return os.path.relpath(os.path.realpath(os_path), os.path.realpath(self.root_dir)).replace(os.sep, "/")

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """What it answers; None where it says nothing.

        :param path: below its URL, not quoted.
        :raises NoAnswer: it is not there.
        :raises Unknown: it answers 404.
        :raises CommandError: it refuses.
        """
        return self.ask_raw(method, quote(path), body)

    def ask_raw(self, method: str, path: str, body: Any = None) -> Any:
        """The same for a path that is quoted, and may have a query."""
        headers = {"Authorization": f"token {self.token}"} if self.token else {}
        data = None
        if body is not None:
            data, headers["Content-Type"] = json.dumps(body), "application/json"
        try:
            answer = fetch(self.url + path, method, data, headers)
        except HTTPError as error:
            kind = Unknown if error.code == 404 else CommandError
            raise kind(_reason(error)) from None
        except (OSError, ValueError) as error:
            raise NoAnswer(f"{self.url} does not answer: {error}") from None
        return answer.json() if answer.body else None


def is_below(os_path: str, root_dir: str) -> bool:
    """Whether a path is in a directory, or in one below it."""
    if not root_dir:
        return False
    root, path = os.path.realpath(root_dir), os.path.realpath(os_path)
    return os.path.commonpath([root, path]) == root


def _reason(error: HTTPError) -> str:
    try:
        message = error.response.json()["message"]
    except (ValueError, KeyError, TypeError):
        message = ""
    return str(message) or f"The server refuses: {error}"
