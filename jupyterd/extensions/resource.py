"""``/api/extensions``: the server extensions that are enabled, where each runs, and how it is; the host's restart."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

from jupyterd.errors import Conflict
from jupyterd.extensions.discovery import JUPYTEXT, SERVED, is_installed
from jupyterd.extensions.host_report import Extension
from jupyterd.extensions.host_supervisor import ExtensionHost
from jupyterd.system.processes.resident import resident
from jupyterd.web.api import Routes, json_api
from jupyterd.web.call import Call


@dataclass
class ExtensionsResource:
    """All extensions.

    :param enabled: the names of those that are enabled.
    :param native: those that are part of the server: name, version and, if it does not work, why.
    :param host: runs the others; None where there are none.
    """

    app = Routes()
    api = json_api(app)

    enabled: Iterable[str]
    native: Callable[[], Iterable[Extension]]
    host: ExtensionHost | None

    @api("GET", "/api/extensions")
    async def index(self, call: Call) -> dict[str, Any]:
        """All of them; ``how`` is ``native``, ``host``, ``excluded``, ``off`` or ``missing``."""
        extensions = [{**asdict(each), "how": "native"} for each in self.native()]
        extensions += [self._told(name) for name in self.enabled]
        return {"host": self._host(), "extensions": extensions}

    @api("POST", "/api/extensions/restart", status=202)
    async def restart(self, call: Call) -> dict[str, Any]:
        """Start the host anew; those that were left out for what they did get another chance.

        :raises Conflict: there is none.
        """
        if self.host is None:
            raise Conflict("No server extension runs in a host")
        self.host.restart()
        return {"host": self._host()}

    def _host(self) -> dict[str, Any] | None:
        host = self.host
        if host is None:
            return None
        return {
            "state": host.state,
            "pid": host.pid,
            "memory": resident(host.pid),
            "loading": host.loading if host.state == "starting" else "",
            "history": host.failures.history,
        }

    def _told(self, name: str) -> dict[str, Any]:
        host = self.host
        if host is not None and name in host.wanted:
            extension = host.report.extensions.get(name, Extension(name))
            error = host.failures.excluded.get(name, extension.error)
            return {
                **asdict(extension),
                "error": error,
                "how": "excluded" if name in host.failures.excluded else "host",
            }
        if name in SERVED or name in JUPYTEXT:
            return {**asdict(Extension(name)), "how": "native"}
        return {**asdict(Extension(name)), "how": "off" if is_installed(name) else "missing"}
