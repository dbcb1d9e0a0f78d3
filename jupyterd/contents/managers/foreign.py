"""Contents managers written against the Jupyter Server's classes.

The classes here are ours as such code knows them: what they raise is a ``tornado.web.HTTPError``. A class that builds
on the Jupyter Server's own base classes, where that is installed, works as it is.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any

from tornado.web import HTTPError

from jupyterd.contents.files.file_names import COPY_SUFFIX as copy_pat  # noqa: N811 - its name there
from jupyterd.contents.managers import checkpoints, filemanager, largefilemanager, manager
from jupyterd.contents.managers.filemanager import FileContentsManager as OurFileContentsManager
from jupyterd.errors import JupyterdError
from jupyterd.web.errors import describe

__all__ = ["copy_pat"]

TRANSLATED = (
    "get", "save", "delete_file", "rename_file", "file_exists", "dir_exists", "is_hidden", "exists", "copy", "new",
    "new_untitled", "update", "delete", "rename", "trust_notebook", "_get_os_path", "create_checkpoint",
    "restore_checkpoint", "list_checkpoints", "delete_checkpoint",
)  # fmt: skip


def as_http_error(error: JupyterdError) -> HTTPError:
    """The same failure, as the Jupyter Server raises it."""
    described = describe(error)
    assert described is not None
    status, message, reason = described
    return HTTPError(status, message, reason=reason)


def translated(method: Callable[..., Any]) -> Callable[..., Any]:
    """A method whose failures are HTTP errors."""
    if inspect.iscoroutinefunction(method):

        @wraps(method)
        async def asynchronous(self: Any, *args: Any, **kwargs: Any) -> Any:
            try:
                return await method(self, *args, **kwargs)
            except JupyterdError as error:
                raise as_http_error(error) from error

        return asynchronous

    @wraps(method)
    def synchronous(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return method(self, *args, **kwargs)
        except JupyterdError as error:
            raise as_http_error(error) from error

    return synchronous


def as_known(ours: type) -> type:
    """A class of ours, under its name, for code that expects HTTP errors."""
    methods = {name: translated(getattr(ours, name)) for name in TRANSLATED if hasattr(ours, name)}
    return type(ours)(ours.__name__, (ours,), {"__module__": __name__, "__doc__": ours.__doc__, **methods})


ContentsManager = as_known(manager.ContentsManager)
AsyncContentsManager = as_known(manager.AsyncContentsManager)
FileContentsManager = as_known(filemanager.FileContentsManager)
AsyncFileContentsManager = as_known(filemanager.AsyncFileContentsManager)
LargeFileManager = as_known(largefilemanager.LargeFileManager)
AsyncLargeFileManager = as_known(largefilemanager.AsyncLargeFileManager)
Checkpoints = checkpoints.Checkpoints
AsyncCheckpoints = checkpoints.AsyncCheckpoints
GenericCheckpointsMixin = checkpoints.GenericCheckpointsMixin
FileCheckpoints = checkpoints.FileCheckpoints
AsyncFileCheckpoints = checkpoints.AsyncFileCheckpoints
GenericFileCheckpoints = checkpoints.GenericFileCheckpoints
AsyncGenericFileCheckpoints = checkpoints.AsyncGenericFileCheckpoints


def on_ours(kind: type) -> type:
    """The class to use for one that an operator named: jupytext's builds on any base, so it gets ours."""
    if issubclass(kind, OurFileContentsManager):
        return kind
    if kind.__module__ == "jupytext.sync_contentsmanager":
        from jupytext.sync_contentsmanager import build_sync_jupytext_contents_manager_class

        return build_sync_jupytext_contents_manager_class(LargeFileManager)  # type: ignore[no-any-return]
    if kind.__module__ == "jupytext.async_contentsmanager":
        from jupytext.async_contentsmanager import build_async_jupytext_contents_manager_class

        return build_async_jupytext_contents_manager_class(AsyncLargeFileManager)  # type: ignore[no-any-return]
    return kind


def adopt(manager: Any, emit: Callable[[dict[str, Any]], None], sign_later: Any) -> None:
    """Give a manager of another family the event bus, and a notary that any thread may use."""
    manager.emit = lambda data: emit(data)
    notary = getattr(manager, "notary", None)
    if type(notary).__name__ == "NotebookNotary":
        from jupyterd.contents.notebooks.trust import make_notary

        manager.notary = make_notary(sign_later, parent=manager)
