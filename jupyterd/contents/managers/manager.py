"""``ContentsManager`` and ``AsyncContentsManager``: the settings that operators write and the classes they subclass.

Source: the reference's classes of these names; their settings, methods and arguments are kept.
"""

from __future__ import annotations

from typing import Any

from traitlets import Any as AnyTrait
from traitlets import Bool, Dict, List, TraitError, Unicode, default, validate
from traitlets.config.configurable import LoggingConfigurable

from jupyterd.compat.class_names import resolve
from jupyterd.contents.managers import generic_operations, hooks
from jupyterd.contents.managers.checkpoints import AsyncCheckpoints, Checkpoints
from jupyterd.contents.managers.interface import ContentsInterface
from jupyterd.contents.managers.sync_or_async import settled
from jupyterd.contents.models import Model
from jupyterd.errors import JupyterdError


class ContentsManager(ContentsInterface, LoggingConfigurable):
    """What notebooks, files and directories are kept in.

    Paths are API paths: ``/`` between names, relative to the root, slashes at the ends do not count.
    """

    event_schema_id = "https://events.jupyter.org/jupyter_server/contents_service/v1"
    event_logger = AnyTrait(None, help="What events are given to; None for the server's event bus.", config=True)
    emitter: Any = None
    """Takes the data of each event, in any thread; set by the server."""
    begin_task: Any = None
    """Tells of what takes long: ``Progress.begin_in_thread``; set by the server."""
    sign_later: Any = None
    """Told of signatures that wait to be written (see ``SharedSignatureStore``); set by the server."""

    root_dir = Unicode("/", config=True, help="The directory below which everything lies.")
    preferred_dir = Unicode(
        "", config=True, help="Where clients start to look for notebooks: an API path, relative to root_dir."
    )
    allow_hidden = Bool(False, config=True, help="Serve hidden files too.")
    notary = AnyTrait(help="Signs notebooks and knows which are trusted: a NotebookNotary.")
    hide_globs = List(
        Unicode(),
        ["__pycache__", "*.pyc", "*.pyo", ".DS_Store", "*~"],
        config=True,
        help="Shell patterns of names that listings leave out.",
    )
    untitled_notebook = Unicode("Untitled", config=True, help="What new notebooks are called.")
    untitled_file = Unicode("untitled", config=True, help="What new files are called.")
    untitled_directory = Unicode("Untitled Folder", config=True, help="What new directories are called.")
    pre_save_hook = AnyTrait(
        None,
        config=True,
        allow_none=True,
        help="Called before each save as hook(model=..., path=..., contents_manager=...), or its dotted path. What it "
        "changes in the model is what is saved; an HTTPError refuses the save, any other exception is logged.",
    )
    post_save_hook = AnyTrait(
        None,
        config=True,
        allow_none=True,
        help="Called after each save as hook(os_path=..., model=..., contents_manager=...), or its dotted path.",
    )
    checkpoints_class = AnyTrait(config=True, help="What keeps checkpoints: a subclass of Checkpoints, or its name.")
    checkpoints = AnyTrait(config=True, help="What keeps checkpoints: an instance, made of the two below.")
    checkpoints_kwargs = Dict(config=True, help="Arguments for the checkpoints class.")
    files_handler_class = AnyTrait(
        None, allow_none=True, config=True, help="Without effect: /files is served natively."
    )
    files_handler_params = Dict(config=True, help="Without effect: /files is served natively.")

    def __init__(self, **kwargs: Any) -> None:
        self._pre_save_hooks: list[hooks.Hook] = []
        self._post_save_hooks: list[hooks.Hook] = []
        super().__init__(**kwargs)

    @default("notary")
    def _default_notary(self) -> Any:
        from jupyterd.contents.notebooks.trust import make_notary

        return make_notary(self.sign_later, parent=self)

    @default("checkpoints_class")
    def _default_checkpoints_class(self) -> Any:
        return Checkpoints

    @validate("checkpoints_class")
    def _validate_checkpoints_class(self, proposal: Any) -> Any:
        try:
            return resolve(proposal["value"])
        except ImportError as error:
            raise TraitError(f"checkpoints_class: {error}") from None

    @default("checkpoints")
    def _default_checkpoints(self) -> Any:
        return self.checkpoints_class(**self.checkpoints_kwargs)

    @default("checkpoints_kwargs")
    def _default_checkpoints_kwargs(self) -> dict[str, Any]:
        return {"parent": self, "log": self.log}

    @validate("pre_save_hook", "post_save_hook")
    def _validate_hook(self, proposal: Any) -> Any:
        value = proposal["value"]
        return None if value is None else hooks.as_hook(value, proposal["trait"].name)

    @validate("preferred_dir")
    def _validate_preferred_dir(self, proposal: Any) -> str:
        value: str = proposal["value"].strip("/")
        if value and not self._is_directory(value):
            raise TraitError(f"Preferred directory not found: {value!r}")
        return value

    def _is_directory(self, path: str) -> bool:
        try:
            found = self.dir_exists(path)
        except JupyterdError as error:
            raise TraitError(error.message) from error
        if hasattr(found, "send"):  # a coroutine: it can not be asked before the server runs
            found.close()
            return True
        return bool(found)

    # -- hooks and events

    def emit(self, data: dict[str, Any]) -> None:
        """Tell the event bus what was done."""
        if self.event_logger is not None:
            self.event_logger.emit(schema_id=self.event_schema_id, data=data)
        elif self.emitter is not None:
            self.emitter(data)

    def register_pre_save_hook(self, hook: Any) -> None:
        """Add a hook to the one that is configured."""
        self._pre_save_hooks.append(_callable(hook))

    def register_post_save_hook(self, hook: Any) -> None:
        """Add a hook to the one that is configured."""
        self._post_save_hooks.append(_callable(hook))

    @property
    def pre_save_hooks(self) -> list[hooks.Hook]:
        """The configured hook and the registered ones."""
        return ([self.pre_save_hook] if self.pre_save_hook is not None else []) + self._pre_save_hooks

    @property
    def post_save_hooks(self) -> list[hooks.Hook]:
        """The configured hook and the registered ones."""
        return ([self.post_save_hook] if self.post_save_hook is not None else []) + self._post_save_hooks

    def run_pre_save_hooks(self, model: Model, path: str, **kwargs: Any) -> None:
        """See :func:`jupyterd.contents.managers.hooks.run_pre_save`."""
        hooks.run_pre_save(self.pre_save_hooks, self.log, model=model, path=path, contents_manager=self, **kwargs)

    def run_post_save_hooks(self, model: Model, os_path: str) -> None:
        """See :func:`jupyterd.contents.managers.hooks.run_post_save`."""
        hooks.run_post_save(self.post_save_hooks, self.log, model=model, os_path=os_path, contents_manager=self)

    run_pre_save_hook = run_pre_save_hooks
    run_post_save_hook = run_post_save_hooks


def _callable(hook: Any) -> hooks.Hook:
    try:
        return hooks.as_hook(hook, "hook")
    except TraitError as error:
        raise RuntimeError(str(error)) from None


class AsyncContentsManager(ContentsManager):
    """The same with asyncio coroutines for methods."""

    @default("checkpoints_class")
    def _default_checkpoints_class(self) -> Any:
        return AsyncCheckpoints

    async def exists(self, path: str) -> bool:
        """There is something at the path."""
        return bool(await settled(self.file_exists(path)) or await settled(self.dir_exists(path)))

    async def resolve_path(self, path: str) -> str | None:
        """None: see :meth:`ContentsManager.resolve_path`."""
        return None

    async def delete(self, path: str) -> None:
        """See :func:`jupyterd.contents.managers.generic_operations.delete`."""
        await generic_operations.delete(self, path)

    async def rename(self, old_path: str, new_path: str) -> None:
        """See :func:`jupyterd.contents.managers.generic_operations.rename`."""
        await generic_operations.rename(self, old_path, new_path)

    async def update(self, model: Model, path: str) -> Model:
        """See :func:`jupyterd.contents.managers.generic_operations.update`."""
        return await generic_operations.update(self, model, path)

    async def increment_filename(self, filename: str, path: str = "", insert: str = "") -> str:
        """See :func:`jupyterd.contents.managers.generic_operations.increment_filename`."""
        return await generic_operations.increment_filename(self, filename, path, insert)

    async def new_untitled(self, path: str = "", type: str = "", ext: str = "") -> Model:  # noqa: A002
        """See :func:`jupyterd.contents.managers.generic_operations.new_untitled`."""
        return await generic_operations.new_untitled(self, path, type, ext)

    async def new(self, model: Model | None = None, path: str = "") -> Model:
        """See :func:`jupyterd.contents.managers.generic_operations.new`."""
        return await generic_operations.new(self, model, path)

    async def copy(self, from_path: str, to_path: str | None = None) -> Model:
        """See :func:`jupyterd.contents.managers.generic_operations.copy`."""
        return await generic_operations.copy(self, from_path, to_path)

    async def trust_notebook(self, path: str) -> None:
        """See :func:`jupyterd.contents.managers.generic_operations.trust_notebook`."""
        await generic_operations.trust_notebook(self, path)

    async def create_checkpoint(self, path: str) -> Any:
        """Keep a file as it is now."""
        return await settled(self.checkpoints.create_checkpoint(self, path))

    async def restore_checkpoint(self, checkpoint_id: str, path: str) -> Any:
        """Make a file what it was."""
        return await settled(self.checkpoints.restore_checkpoint(self, checkpoint_id, path))

    async def list_checkpoints(self, path: str) -> Any:
        """The checkpoints of a file."""
        return await settled(self.checkpoints.list_checkpoints(path))

    async def delete_checkpoint(self, checkpoint_id: str, path: str) -> Any:
        """Forget a checkpoint."""
        return await settled(self.checkpoints.delete_checkpoint(checkpoint_id, path))
