"""Landing page: what lies at ``/``, the way to the front end, and a word to who posts there."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from jupyterd.frontends.lab.pages import HTML
from jupyterd.utils import url_path_join
from jupyterd.web.api import Routes, json_api
from jupyterd.web.call import Call, Reply

RUNNING = "jupyterd is running. Servers are stopped by a POST to api/shutdown below this path, or by SIGTERM.\n"


class Landing:
    """``/``.

    :param default_url: where it leads to; None where no front end is installed.
    :param render: renders the page that says so, by a template's name.
    """

    app = Routes()
    api = json_api(app)

    def __init__(self, default_url: Callable[[], str | None], render: Callable[[str], bytes]) -> None:
        self._default_url, self._render = default_url, render

    @api(("GET", "HEAD"), "/")
    async def landing(self, call: Call) -> Reply:
        """The way to the front end; the query, a token perhaps, goes along."""
        target = self._default_url()
        if target is None:
            return Reply(self._render("landing.html"), HTML)
        if not urlsplit(target).scheme and not target.startswith(call.base_url):
            target = url_path_join(call.base_url, target)
        query = call.request.uri.decode("ascii", "replace").partition("?")[2]
        return Reply(b"", HTML, 302, {"Location": f"{target}?{query}" if query else target})

    @api("POST", "/")
    async def posted(self, call: Call) -> Reply:
        """That it runs. ``jupyter server stop <socket>`` posts here first, and sends SIGTERM only after a 200."""
        return Reply(RUNNING.encode(), "text/plain; charset=utf-8")
