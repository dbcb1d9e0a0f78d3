"""Hooks: the operator's functions around a save."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from traitlets import TraitError
from traitlets.utils.importstring import import_item

from jupyterd.errors import Failed, JupyterdError

Hook = Callable[..., Any]


def as_hook(value: Any, name: str) -> Hook:
    """A callable, or the dotted path of one.

    :raises TraitError: neither.
    """
    if isinstance(value, str):
        try:
            value = import_item(value)
        except ImportError as error:
            raise TraitError(f"{name} {value!r} can not be imported: {error}") from error
    if not callable(value):
        raise TraitError(f"{name} must be callable")
    return value  # type: ignore[no-any-return]


def is_refusal(error: BaseException) -> bool:
    """Meant for the client: a failure of ours, or one shaped like ``tornado.web.HTTPError``."""
    return isinstance(error, JupyterdError) or isinstance(getattr(error, "status_code", None), int)


def run_pre_save(hooks: list[Hook], log: Any, *, model: Any, path: str, contents_manager: Any, **more: Any) -> None:
    """Let each hook change the model. A hook that fails is logged and does not stop the save; a refusal does."""
    for hook in hooks:
        try:
            log.debug("Running pre-save hook on %s", path)
            hook(model=model, path=path, contents_manager=contents_manager, **more)
        except Exception as error:
            if is_refusal(error):
                raise
            log.error("Pre-save hook %s failed on %s", _name(hook), path, exc_info=True)


def run_post_save(hooks: list[Hook], log: Any, *, model: Any, os_path: str, contents_manager: Any) -> None:
    """Tell each hook that the file was written.

    :raises Failed: a hook failed; the file is written all the same.
    """
    for hook in hooks:
        try:
            log.debug("Running post-save hook on %s", os_path)
            hook(os_path=os_path, model=model, contents_manager=contents_manager)
        except Exception as error:
            log.error("Post-save hook %s failed on %s", _name(hook), os_path, exc_info=True)
            raise Failed(f"Unexpected error while running post hook save: {error}") from error


def _name(hook: Hook) -> str:
    return getattr(hook, "__name__", repr(hook))
