"""Kernelspecs that are installed: jupyter_client's finder, or an operator's, asked in a thread and remembered."""

from __future__ import annotations

import glob
import inspect
import os
from collections.abc import Callable
from threading import Lock
from typing import Any

from twisted.logger import Logger

from jupyterd.errors import Failed, NotFound
from jupyterd.system.asyncio_bridge import from_asyncio
from jupyterd.system.threads import InThread

STOCK_CLASS = "jupyter_client.kernelspec.KernelSpecManager"


class NoSuchKernelSpec(NotFound):
    """No kernelspec has that name, or it may not be used here."""

    def __init__(self, name: str) -> None:
        super().__init__(f"Kernel spec {name} not found")
        self.name = name


class KernelSpecs:
    """The kernelspecs, as objects of jupyter_client and as REST models.

    :param make_client: makes the ``KernelSpecManager``; called in a thread, at the first use: its import takes a while.
    :param base_url: what the URLs of logos begin with.
    """

    log = Logger()

    def __init__(self, make_client: Callable[[], Any], in_thread: InThread, base_url: str = "/") -> None:
        self._make_client = make_client
        self._in_thread = in_thread
        self._base_url = base_url
        self._client: Any = None
        self._lock = Lock()
        self._fingerprint: object = None
        self._models: dict[str, Any] = {}
        self._specs: dict[str, Any] = {}

    @property
    def client(self) -> Any:
        """The ``KernelSpecManager``."""
        with self._lock:
            if self._client is None:
                self._client = self._make_client()
        return self._client

    async def models(self) -> dict[str, Any]:
        """The REST models of all kernelspecs, by name; those that can not be read are logged and left out."""
        found = await self._in_thread(self._all_models)
        if inspect.isawaitable(found):
            found = self._to_models(await from_asyncio(found))
        return dict(found)

    async def model(self, name: str) -> dict[str, Any]:
        """The REST model of one.

        :raises NoSuchKernelSpec: there is none of that name.
        """
        spec = await self.spec(name)
        if _is_model(spec):
            return dict(spec)
        return await self._in_thread(self._model, name, spec.to_dict(), spec.resource_dir)

    async def spec(self, name: str) -> Any:
        """The ``KernelSpec`` of that name.

        :raises NoSuchKernelSpec: there is none of that name.
        :raises Failed: it can not be read.
        """
        try:
            found = await self._in_thread(self._spec, name)
            return await from_asyncio(found) if inspect.isawaitable(found) else found
        except KeyError:
            raise NoSuchKernelSpec(name) from None
        except (OSError, ValueError, TypeError) as error:
            self.log.failure("kernelspec {name} can not be read", name=name)
            raise Failed(f"Kernel spec {name} can not be read: {error}") from error

    async def resource(self, name: str, path: str) -> bytes | str:
        """A file of a kernelspec's: its content, where the operator's class keeps it, else its path on disk.

        :raises NoSuchKernelSpec: there is no such kernelspec.
        """
        keeper = getattr(await self._in_thread(lambda: self.client), "get_kernel_spec_resource", None)
        if keeper is not None:
            content = await from_asyncio(keeper(name, path))
            if content is not None:
                return content if isinstance(content, bytes) else str(content).encode()
        spec = await self.spec(name)
        return os.path.join(spec.resource_dir, path)

    # -- in threads

    def _spec(self, name: str) -> Any:
        client = self.client
        allowed = getattr(client, "allowed_kernelspecs", None)
        if allowed and name.lower() not in allowed:
            raise KeyError(name)
        if not hasattr(client, "fingerprint"):
            return client.get_kernel_spec(name)
        self._forget_if_changed()
        spec = self._specs.get(name)
        if spec is None:
            spec = self._specs[name] = client.get_kernel_spec(name)
        return spec

    def _forget_if_changed(self) -> bool:
        fingerprint = self.client.fingerprint()
        changed = fingerprint != self._fingerprint
        if changed:
            self._specs, self._models, self._fingerprint = {}, {}, fingerprint
        return bool(changed)

    def _all_models(self) -> Any:
        client = self.client
        if not hasattr(client, "fingerprint"):
            found = client.get_all_specs()
            return found if inspect.isawaitable(found) else self._to_models(found)
        if self._forget_if_changed() or not self._models:
            self._models = self._to_models(client.get_all_specs())
        return self._models

    def _to_models(self, found: dict[str, Any]) -> dict[str, Any]:
        models = {}
        for name, info in found.items():
            try:
                models[name] = info if _is_model(info) else self._model(name, info["spec"], info["resource_dir"])
            except (KeyError, TypeError, OSError):
                self.log.failure("kernelspec {name} can not be read", name=name)
        return models

    def _model(self, name: str, spec: dict[str, Any], resource_dir: str) -> dict[str, Any]:
        resources = {}
        for file in ("kernel.js", "kernel.css"):
            if os.path.exists(os.path.join(resource_dir, file)):
                resources[file] = self._url(name, file)
        for path in glob.glob(os.path.join(glob.escape(resource_dir), "logo-*")):
            file = os.path.basename(path)
            resources[os.path.splitext(file)[0]] = self._url(name, file)
        return {"name": name, "spec": spec, "resources": resources}

    def _url(self, name: str, file: str) -> str:
        return f"{self._base_url}kernelspecs/{name}/{file}"


def _is_model(info: Any) -> bool:
    return isinstance(info, dict) and {"name", "spec", "resources"} <= set(info)
