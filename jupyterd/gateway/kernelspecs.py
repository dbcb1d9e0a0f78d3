"""Gateway's kernelspecs, as our clients see them."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from jupyterd.errors import NotFound, Upstream
from jupyterd.gateway.client import Gateway, Unusable
from jupyterd.kernelspecs.manager import NoSuchKernelSpec


class GatewaySpecs:
    """In place of :class:`~jupyterd.kernelspecs.manager.KernelSpecs`.

    :param base_url: what the URLs of logos begin with.
    :param default_is: told which kernel is the gateway's default.
    """

    def __init__(self, gateway: Gateway, base_url: str, default_is: Callable[[str], None]) -> None:
        self._gateway = gateway
        self._base_url = base_url
        self._default_is = default_is
        user = os.environ.get("KERNEL_USERNAME")
        self._query = {"user": user} if user else None

    async def models(self) -> dict[str, Any]:
        """The REST models of all kernelspecs, by name."""
        settings = self._gateway.settings
        found = (await self._gateway.ask("GET", settings.kernelspecs_endpoint, query=self._query)).json()
        models = found.get("kernelspecs") if isinstance(found, dict) else None
        if not isinstance(models, dict):
            raise Unusable("The gateway's answer are no kernelspecs: is GatewayClient.url right?")
        if isinstance(default := found.get("default"), str):
            self._default_is(default)
        return {name: self._ours(model) for name, model in models.items() if isinstance(model, dict)}

    async def model(self, name: str) -> dict[str, Any]:
        """The REST model of one.

        :raises NoSuchKernelSpec: there is none of that name.
        """
        settings = self._gateway.settings
        try:
            answer = await self._gateway.ask("GET", settings.kernelspecs_endpoint, name, query=self._query)
        except Upstream as error:
            if error.status_code == 404:
                raise NoSuchKernelSpec(name) from None
            raise
        found = answer.json()
        if not isinstance(found, dict):
            raise Unusable("The gateway's answer is no kernelspec: is GatewayClient.url right?")
        return self._ours(found)

    async def resource(self, name: str, path: str) -> bytes | str:
        """The content of a kernelspec's file.

        :raises NotFound: there is none.
        """
        settings = self._gateway.settings
        try:
            answer = await self._gateway.ask("GET", settings.kernelspecs_resource_endpoint, name, *path.split("/"))
        except Upstream as error:
            if error.status_code == 404:
                raise NotFound(f"Kernelspec resource {path} of {name} not found") from None
            raise
        return answer.body

    def _ours(self, model: dict[str, Any]) -> dict[str, Any]:
        """With the URLs of its files below our base URL, so that they are asked for here."""
        resources = model.get("resources")
        if not isinstance(resources, dict):
            return model
        return {**model, "resources": {name: self._url(url) for name, url in resources.items()}}

    def _url(self, url: Any) -> Any:
        _, found, path = str(url).rpartition("/kernelspecs/")
        return f"{self._base_url}kernelspecs/{path}" if found else url
