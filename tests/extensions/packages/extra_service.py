"""A service that ``extra_services`` names: a module with handlers."""

from __future__ import annotations

from jupyter_server.base.handlers import APIHandler
from tornado import web


class Service(APIHandler):
    @web.authenticated
    def get(self) -> None:
        self.finish({"from": "an extra service"})


default_handlers = [(r"/api/extra-service", Service)]
