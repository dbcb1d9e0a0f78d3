"""A server extension for :mod:`benchmarks.extensions`: one small answer, and one that blocks."""

from __future__ import annotations

import time
from typing import Any

from jupyter_server.base.handlers import APIHandler
from jupyter_server.utils import url_path_join
from tornado import web


class Small(APIHandler):
    """Answers at once."""

    @web.authenticated
    def get(self) -> None:
        self.finish("[]")


class Blocking(APIHandler):
    """Keeps the loop for as many ``seconds`` as are asked for."""

    @web.authenticated
    def get(self) -> None:
        time.sleep(float(self.get_argument("seconds")))
        self.finish("[]")


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "benchmarks.extension"}]


def _load_jupyter_server_extension(app: Any) -> None:
    at = [(url_path_join(app.base_url, path), each) for path, each in (("/b/small", Small), ("/b/block", Blocking))]
    app.web_app.add_handlers(".*$", at)
