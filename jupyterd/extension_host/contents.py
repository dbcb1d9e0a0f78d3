"""Contents managers of extensions, asynchronous and synchronous: files are read and written by the daemon.

So each save is made once, atomically, with its event, its trust and its versions.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import nbformat
from jupyter_server.services.contents.largefilemanager import AsyncLargeFileManager, LargeFileManager
from tornado.web import HTTPError

from jupyterd.extension_host.daemon_api import DaemonAPI

Model = dict[str, Any]
Result = Callable[[Any], Any]

MISSING = "No such file or directory: "
"""How the Jupyter Server's own manager begins; jupyterlab-git tells a deleted file by it."""


class Requests:
    """What each method asks the daemon: method, path, body, query; no input or output."""

    @staticmethod
    def get(  # the names are the Jupyter Server's
        path: str,
        content: bool,
        type: str | None,  # noqa: A002
        format: str | None,  # noqa: A002
        require_hash: bool,
    ) -> tuple[str, str, Any, Any]:
        query = {"content": "1" if content else "0", "hash": "1" if require_hash else "0"}
        if type:
            query["type"] = type
        if format and format != "json":  # which is legal here, and no format of the API's
            query["format"] = format
        return "GET", _url(path), None, query

    @staticmethod
    def save(model: Model, path: str) -> tuple[str, str, Any, Any]:
        plain = {name: value for name, value in model.items() if name not in ("created", "last_modified")}
        return "PUT", _url(path), plain, None


def _url(path: str, *rest: str) -> str:
    return "/".join(("/api/contents", *filter(None, (path.strip("/"), *rest))))


def as_model(told: Any) -> Model:
    """A model as managers give it: times are times, notebooks are notebooks."""
    model: Model = dict(told)
    for name in ("created", "last_modified"):
        if isinstance(model.get(name), str):
            model[name] = datetime.fromisoformat(model[name].replace("Z", "+00:00"))
    content = model.get("content")
    if model.get("type") == "notebook" and isinstance(content, dict):
        model["content"] = nbformat.from_dict(content)
    elif model.get("type") == "directory" and isinstance(content, list):
        model["content"] = [as_model(entry) for entry in content]
    return model


def as_checkpoint(told: Any) -> Model:
    """A checkpoint's model, its time a time."""
    return {**told, "last_modified": datetime.fromisoformat(told["last_modified"].replace("Z", "+00:00"))}


def renamed(error: HTTPError, path: str) -> HTTPError:
    """A failure in the words that extensions compare."""
    return HTTPError(404, MISSING + path.replace("%", "%%")) if error.status_code == 404 else error


class DaemonContents(AsyncLargeFileManager):
    """The daemon's contents, for coroutines."""

    api: DaemonAPI

    def serve(self, api: DaemonAPI) -> None:
        """Begin."""
        self.api = api

    async def _ask(self, method: str, path: str, body: Any = None, query: Any = None, about: str = "") -> Any:
        try:
            return await self.api.asking(method, path, body, query)
        except HTTPError as error:
            raise renamed(error, about) from error

    async def _kind(self, path: str) -> dict[str, bool]:
        found: dict[str, bool] = await self.api.asking("GET", "/host/kind", query={"path": path})
        return found

    async def file_exists(self, path: str = "") -> bool:
        """There is a file."""
        return (await self._kind(path))["file"]

    async def dir_exists(self, path: str) -> bool:
        """There is a directory."""
        return (await self._kind(path))["directory"]

    async def exists(self, path: str) -> bool:
        """There is something."""
        found = await self._kind(path)
        return found["file"] or found["directory"]

    async def is_hidden(self, path: str) -> bool:
        """It is hidden."""
        return (await self._kind(path))["hidden"]

    async def get(
        self,
        path: str,
        content: bool = True,
        type: str | None = None,  # noqa: A002 - their names in the Jupyter Server
        format: str | None = None,  # noqa: A002
        require_hash: bool = False,
    ) -> Model:
        """A model."""
        return as_model(await self._ask(*Requests.get(path, content, type, format, require_hash), path))

    async def save(self, model: Model, path: str = "") -> Model:
        """Write a file, a notebook, or make a directory."""
        return as_model(await self._ask(*Requests.save(model, path), path))

    async def new(self, model: Model | None = None, path: str = "") -> Model:
        """Make what is not there, empty where ``model`` has no content."""
        return as_model(await self._ask("PUT", _url(path), {"type": "file", **(model or {})}, about=path))

    async def new_untitled(self, path: str = "", type: str = "", ext: str = "") -> Model:  # noqa: A002
        """Make something under a name that the daemon chooses."""
        return as_model(await self._ask("POST", _url(path), {"type": type, "ext": ext}, about=path))

    async def copy(self, from_path: str, to_path: str | None = None) -> Model:
        """Copy a file into a directory, its own by default, or to a path."""
        directory = from_path.strip("/").rpartition("/")[0] if to_path is None else to_path.strip("/")
        if to_path is not None and not await self.dir_exists(directory):
            model = await self.get(from_path)
            return await self.save({name: model[name] for name in ("type", "format", "content")}, directory)
        return as_model(await self._ask("POST", _url(directory), {"copy_from": from_path}, about=from_path))

    async def rename_file(self, old_path: str, new_path: str) -> None:
        """Rename."""
        await self._ask("PATCH", _url(old_path), {"path": new_path}, about=old_path)

    async def rename(self, old_path: str, new_path: str) -> None:
        """Rename; checkpoints go along."""
        await self.rename_file(old_path, new_path)

    async def update(self, model: Model, path: str) -> Model:
        """Rename, where the model has another path."""
        return as_model(await self._ask("PATCH", _url(path), {"path": model.get("path", path)}, about=path))

    async def delete_file(self, path: str) -> None:
        """Delete."""
        await self._ask("DELETE", _url(path), about=path)

    async def delete(self, path: str) -> None:
        """Delete; checkpoints too."""
        await self.delete_file(path)

    async def trust_notebook(self, path: str) -> None:
        """Trust a notebook."""
        await self._ask("POST", _url(path, "trust"), about=path)

    async def create_checkpoint(self, path: str) -> Model:
        """Keep a file as it is."""
        return as_checkpoint(await self._ask("POST", _url(path, "checkpoints"), about=path))

    async def restore_checkpoint(self, checkpoint_id: str, path: str) -> None:
        """Make a file what it was."""
        await self._ask("POST", _url(path, "checkpoints", checkpoint_id), about=path)

    async def list_checkpoints(self, path: str) -> list[Model]:
        """A file's checkpoints."""
        return [as_checkpoint(each) for each in await self._ask("GET", _url(path, "checkpoints"), about=path)]

    async def delete_checkpoint(self, checkpoint_id: str, path: str) -> None:
        """Forget a checkpoint."""
        await self._ask("DELETE", _url(path, "checkpoints", checkpoint_id), about=path)

    def emit(self, data: Any) -> None:
        """Nothing: the daemon tells what it has done."""


class BlockingDaemonContents(LargeFileManager):
    """The same for code that can only wait, such as the managers below jupyter-fs."""

    api: DaemonAPI
    host_api: DaemonAPI | None = None
    """What instances ask that are made by others, without :meth:`serve`."""

    def serve(self, api: DaemonAPI) -> None:
        """Begin."""
        self.api = api

    def __getattr__(self, name: str) -> Any:
        if name == "api" and type(self).host_api is not None:
            return type(self).host_api
        raise AttributeError(name)

    def _ask(self, method: str, path: str, body: Any = None, query: Any = None, about: str = "") -> Any:
        try:
            return self.api.ask(method, path, body, query)
        except HTTPError as error:
            raise renamed(error, about) from error

    def _kind(self, path: str) -> dict[str, bool]:
        found: dict[str, bool] = self.api.ask("GET", "/host/kind", query={"path": path})
        return found

    def file_exists(self, path: str = "") -> bool:
        """There is a file."""
        return self._kind(path)["file"]

    def dir_exists(self, path: str) -> bool:
        """There is a directory."""
        return self._kind(path)["directory"]

    def exists(self, path: str) -> bool:
        """There is something."""
        found = self._kind(path)
        return found["file"] or found["directory"]

    def is_hidden(self, path: str) -> bool:
        """It is hidden."""
        return self._kind(path)["hidden"]

    def get(
        self,
        path: str,
        content: bool = True,
        type: str | None = None,  # noqa: A002 - their names in the Jupyter Server
        format: str | None = None,  # noqa: A002
        require_hash: bool = False,
    ) -> Model:
        """A model."""
        return as_model(self._ask(*Requests.get(path, content, type, format, require_hash), path))

    def save(self, model: Model, path: str = "") -> Model:
        """Write a file, a notebook, or make a directory."""
        return as_model(self._ask(*Requests.save(model, path), path))

    def rename_file(self, old_path: str, new_path: str) -> None:
        """Rename."""
        self._ask("PATCH", _url(old_path), {"path": new_path}, about=old_path)

    def delete_file(self, path: str) -> None:
        """Delete."""
        self._ask("DELETE", _url(path), about=path)

    def trust_notebook(self, path: str) -> None:
        """Trust a notebook."""
        self._ask("POST", _url(path, "trust"), about=path)

    def create_checkpoint(self, path: str) -> Model:
        """Keep a file as it is."""
        return as_checkpoint(self._ask("POST", _url(path, "checkpoints"), about=path))

    def restore_checkpoint(self, checkpoint_id: str, path: str) -> None:
        """Make a file what it was."""
        self._ask("POST", _url(path, "checkpoints", checkpoint_id), about=path)

    def list_checkpoints(self, path: str) -> list[Model]:
        """A file's checkpoints."""
        return [as_checkpoint(each) for each in self._ask("GET", _url(path, "checkpoints"), about=path)]

    def delete_checkpoint(self, checkpoint_id: str, path: str) -> None:
        """Forget a checkpoint."""
        self._ask("DELETE", _url(path, "checkpoints", checkpoint_id), about=path)

    def emit(self, data: Any) -> None:
        """Nothing: the daemon tells what it has done."""
