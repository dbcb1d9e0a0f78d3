"""What every contents manager can do in terms of its primitives: new, copy, rename with checkpoints, trust.

The primitives are ``dir_exists``, ``file_exists``, ``is_hidden``, ``get``, ``save``, ``delete_file`` and
``rename_file``. Source: the reference's ``ContentsManager``, part 2 and 3.
"""

from __future__ import annotations

from typing import Any

from jupyterd.contents.files import names as naming
from jupyterd.contents.managers.sync_or_async import settled
from jupyterd.contents.models import Model
from jupyterd.contents.paths import clean, split
from jupyterd.errors import Invalid, NotFound


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
    """The first free name in a directory; see :func:`jupyterd.contents.files.names.candidates`."""
    path = clean(path)
    for name in naming.candidates(filename, insert):
        if not await settled(manager.exists(f"{path}/{name}")):
            return name
    raise AssertionError("names do not end")


async def new_untitled(manager: Any, path: str = "", type: str = "", ext: str = "") -> Model:  # noqa: A002
    """Make an empty file, notebook or directory with a free name."""
    path = clean(path)
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
    name = await settled(manager.increment_filename(untitled + ext, path, insert=insert))
    return await settled(manager.new({"type": kind}, f"{path}/{name}"))


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
    target = await copy_target(manager, path, to_path)
    model = dict(await settled(manager.save(model, target)))
    manager.emit(data={"action": "copy", "path": target, "source_path": from_path})
    return model


async def copy_target(manager: Any, path: str, to_path: str | None) -> str:
    """Where the copy of a file goes.

    :raises NotFound: its directory is not there.
    """
    from_dir, from_name = split(path)
    target = from_dir if to_path is None else clean(to_path)
    if await settled(manager.dir_exists(target)):
        name = naming.without_copy_suffix(from_name)
        name = await settled(manager.increment_filename(name, target, insert="-Copy"))
        target = f"{target}/{name}"
    elif to_path is None:
        raise NotFound(f"No such directory: {target}")
    elif "/" in target and not await settled(manager.dir_exists(parent := split(target)[0])):
        raise NotFound(f"No such parent directory: {parent} to copy file in")
    return target


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
