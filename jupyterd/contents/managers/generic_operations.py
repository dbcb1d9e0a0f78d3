"""Generic operations of every contents manager, by its primitives: new, copy, rename with checkpoints, trust.

The primitives are ``dir_exists``, ``file_exists``, ``is_hidden``, ``get``, ``save``, ``delete_file`` and
``rename_file``. Source: the reference's ``ContentsManager``, part 2 and 3.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from jupyterd.contents.files import file_names
from jupyterd.contents.managers.sync_or_async import settled
from jupyterd.contents.models import Model
from jupyterd.contents.paths import clean, split
from jupyterd.errors import Conflict, Invalid, NotFound

Make = Callable[[str], Awaitable[Model]]
"""Makes what belongs at an API path."""

MAX_TAKEN = 1000
"""How often a name may be taken by another, between that it was found free and that it was asked for."""


class NoFreeName(Conflict):
    """Every name that was tried is taken."""


async def delete(manager: Any, path: str) -> None:
    """Delete a file or directory and its checkpoints."""
    path = clean(path)
    if not path:
        raise Invalid("Can't delete root")
    await settled(manager.delete_file(path))
    await settled(manager.checkpoints.delete_all_checkpoints(path))
    manager.emit(data={"action": "delete", "path": path})


async def rename(manager: Any, old_path: str, new_path: str) -> None:
    """Rename a file or directory and its checkpoints."""
    await settled(manager.rename_file(old_path, new_path))
    await settled(manager.checkpoints.rename_all_checkpoints(old_path, new_path))
    manager.emit(data={"action": "rename", "path": new_path, "source_path": old_path})


async def update(manager: Any, model: Model, path: str) -> Model:
    """Give a file the path that the model names."""
    path = clean(path)
    new_path = clean(model.get("path", path))
    if path != new_path:
        await settled(manager.rename(path, new_path))
    return await settled(manager.get(new_path, content=False))


async def increment_filename(manager: Any, filename: str, path: str = "", insert: str = "") -> str:
    """The first free name in a directory; see :func:`jupyterd.contents.files.file_names.candidates`."""
    path = clean(path)
    for name in file_names.candidates(filename, insert):
        if not await settled(manager.exists(f"{path}/{name}")):
            return name
    raise NoFreeName(f"No name like {filename} is free in {path or '/'}")


async def in_free_name(
    manager: Any, filename: str, path: str, make: Make, insert: str = "", directory: bool = False
) -> Model:
    """Make something under the first free name; who asks for the same at the same time gets another.

    A manager that can hold a name, with :meth:`FileContentsManager._claim`, does so against other processes too.

    :raises NoFreeName: there is none.
    """
    for _ in range(MAX_TAKEN):
        name = await settled(manager.increment_filename(filename, path, insert=insert))
        made = await if_free(manager, f"{path}/{name}", make, directory)
        if made is not None:
            return made
    raise NoFreeName(f"No name like {filename} is free in {path or '/'}")


async def if_free(manager: Any, target: str, make: Make, directory: bool = False) -> Model | None:
    """Make something where nothing is; None where something has come there. A manager that can not tell makes it."""
    if not hasattr(manager, "_claim"):
        return await make(target)
    claim = await settled(manager._claim(target, directory))
    if claim is None:
        return None
    try:
        return await make(target)
    except BaseException:
        claim.release()
        raise


async def new_untitled(manager: Any, path: str = "", type: str = "", ext: str = "") -> Model:  # noqa: A002
    """Make an empty file, notebook or directory with a free name.

    :raises Invalid: ``ext`` can not be the end of a name.
    """
    path = clean(path)
    if not file_names.is_suffix(ext):
        raise Invalid(f"{ext!r} is not a file extension")
    if not await settled(manager.dir_exists(path)):
        raise NotFound(f"No such directory: {path}")
    kind = type or ("notebook" if ext == ".ipynb" else "file")
    insert = ""
    if kind == "directory":
        untitled, insert = manager.untitled_directory, " "
    elif kind == "notebook":
        untitled, ext = manager.untitled_notebook, ".ipynb"
    elif kind == "file":
        untitled = manager.untitled_file
    else:
        raise Invalid(f"Unexpected model type: {kind!r}")
    return await in_free_name(
        manager, untitled + ext, path, lambda at: settled(manager.new({"type": kind}, at)), insert, kind == "directory"
    )


async def new(manager: Any, model: Model | None = None, path: str = "") -> Model:
    """Make a file, notebook or directory of a given name; empty unless the model has content."""
    path = clean(path)
    model = fill(model if model is not None else {}, path)
    return await settled(manager.save(model, path))


def fill(model: Model, path: str) -> Model:
    """Complete the model of what is to be made, in place."""
    from jupyterd.contents.notebooks.serialization import empty

    model.setdefault("type", "notebook" if path.endswith(".ipynb") else "file")
    if "content" not in model and model["type"] != "directory":
        if model["type"] == "notebook":
            import nbformat

            model.update(content=nbformat.from_dict(empty()), format="json")
        else:
            model.update(content="", type="file", format="text")
    return model


async def copy(manager: Any, from_path: str, to_path: str | None = None) -> Model:
    """Copy a file; into a directory under a free name, or to a path that does not exist."""
    path = clean(from_path)
    model = await settled(manager.get(path))
    model.pop("path", None)
    model.pop("name", None)
    if model["type"] == "directory":
        raise Invalid("Can't copy directories")

    async def make(target: str) -> Model:
        saved = dict(await settled(manager.save(model, target)))
        manager.emit(data={"action": "copy", "path": target, "source_path": from_path})
        return saved

    return await copy_to(manager, path, to_path, make)


async def copy_to(manager: Any, path: str, to_path: str | None, make: Make) -> Model:
    """Make the copy of a file where it belongs: under a free name in a directory, else at ``to_path``.

    :raises NotFound: its directory is not there.
    :raises Invalid: something has come to ``to_path`` meanwhile.
    """
    from_dir, from_name = split(path)
    target = from_dir if to_path is None else clean(to_path)
    if await settled(manager.dir_exists(target)):
        return await in_free_name(manager, file_names.without_copy_suffix(from_name), target, make, "-Copy")
    if to_path is None:
        raise NotFound(f"No such directory: {target}")
    if "/" in target and not await settled(manager.dir_exists(parent := split(target)[0])):
        raise NotFound(f"No such parent directory: {parent} to copy file in")
    if await settled(manager.file_exists(target)):  # code may ask for that, clients can not
        return await make(target)
    made = await if_free(manager, target, make)
    if made is None:
        raise Invalid("Cannot POST to files, use PUT instead.")
    return made


async def trust_notebook(manager: Any, path: str) -> None:
    """Trust a notebook's outputs from now on."""
    model = await settled(manager.get(path))
    if model["type"] != "notebook":
        raise Invalid(f"{clean(path)} is not a notebook", reason="bad type")
    content = model["content"]
    manager.log.warning("Trusting notebook %s", path)
    manager.notary.mark_cells(content, True)
    manager.check_and_sign(content, path)


async def rename_all_checkpoints(checkpoints: Any, old_path: str, new_path: str) -> None:
    """Take a file's checkpoints along."""
    for checkpoint in await settled(checkpoints.list_checkpoints(old_path)):
        await settled(checkpoints.rename_checkpoint(checkpoint["id"], old_path, new_path))


async def delete_all_checkpoints(checkpoints: Any, path: str) -> None:
    """Delete a file's checkpoints."""
    for checkpoint in await settled(checkpoints.list_checkpoints(path)):
        await settled(checkpoints.delete_checkpoint(checkpoint["id"], path))
