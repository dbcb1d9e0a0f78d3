"""Operations of the contents API on a contents manager, whichever it is.

The functions are written for synchronous and asynchronous managers alike (see
:mod:`jupyterd.contents.managers.sync_or_async`): with the built-in ones each runs as a whole in
one thread. Source: the reference's ``services/contents/handlers.py``.
"""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass
from functools import cache
from mmap import mmap
from typing import Any

from jupyterd.contents.encoded_models import Answer, answer_of, answer_of_any, encode_found, tag_of
from jupyterd.contents.files.open_beneath import LeadsOut, open_beneath
from jupyterd.contents.managers import generic_operations, reading
from jupyterd.contents.managers.filemanager import FileContentsManager
from jupyterd.contents.managers.reading import Found, Larger
from jupyterd.contents.managers.sync_or_async import settled
from jupyterd.contents.models import Model, check, encode, encode_any
from jupyterd.contents.notebook_steps import MARK, Step
from jupyterd.contents.notebooks import jsonio
from jupyterd.contents.paths import OutsideRoot, clean
from jupyterd.contents.raw_upload import RawUpload
from jupyterd.errors import Forbidden, Invalid, NotFound, PreconditionFailed
from jupyterd.system.provenance import leaves_alone

Buffer = bytes | mmap
TYPES = ("directory", "file", "notebook")


class Missing(NotFound):
    """Nothing is at the path that a client wants to read."""


@dataclass(frozen=True)
class Query:
    """How much of a file a client wants.

    :param type: one of :data:`TYPES`, or None for what it is.
    :param format: ``text``, ``base64`` or None.
    :param mark: what a notebook is marked with; see :data:`jupyterd.contents.notebook_steps.MARK`.
    """

    content: bool = True
    type: str | None = None
    format: str | None = None
    hash: bool = False
    mark: int | None = None


def is_native(manager: Any) -> bool:
    """One of the built-in managers, or a subclass that leaves reading and saving as they are."""
    kind: Any = type(manager)
    return _is_native(kind)


@cache
def _is_native(kind: Any) -> bool:
    names = ("get", "save", "new", "_get_model", "_keep", "_save_model", "file_exists", "is_hidden")
    return issubclass(kind, FileContentsManager) and leaves_alone(kind, *names)


async def get(manager: Any, path: str, query: Query, limit: int | None = None) -> Answer | None:
    """Read a file, a notebook or a directory.

    :param limit: bytes; a file that has more is not read here.
    :returns: None for such a file.
    :raises Missing: nothing there, or hidden.
    """
    if is_native(manager):
        try:
            return _get_native(manager, path, query, limit if query.content else None)
        except Larger:
            return None
    missing = Missing(f"file or directory {path!r} does not exist")
    if not manager.allow_hidden and await settled(manager.is_hidden(path)):
        raise missing
    wanted: dict[str, Any] = {"type": query.type, "format": query.format, "content": query.content}
    hashed = query.hash
    try:
        try:
            model = await settled(manager.get(path=path, require_hash=hashed, **wanted))
        except TypeError:  # written before hashes were
            hashed = False
            model = await settled(manager.get(path=path, **wanted))
    except Exception as error:
        if isinstance(error, NotFound) or getattr(error, "status_code", None) == 404:
            raise missing from error
        raise
    check(model, query.content, hashed)
    _mark(model, query.mark)
    return Answer(encode_any(model), model["path"], model["last_modified"])


def is_large(manager: Any, path: str, limit: int) -> bool:
    """A file of a built-in manager that has more bytes than ``limit``."""
    if not is_native(manager):
        return False
    try:
        status = os.stat(manager._get_os_path(clean(path)))
        return stat.S_ISREG(status.st_mode) and status.st_size > limit
    except (OSError, NotFound):
        return False


def _get_native(manager: FileContentsManager, path: str, query: Query, limit: int | None) -> Answer:
    found = find(manager, path, query, limit)
    return answer_of(found, encode_found(found))


def find(manager: FileContentsManager, path: str, query: Query, limit: int | None = None) -> Found:
    """A model of a built-in manager.

    :raises Larger: a file of more bytes than ``limit``.
    :raises Missing: nothing there, or hidden.
    """
    try:
        found = reading.find(manager, path, query.content, query.type, query.format, query.hash, limit)
    except OutsideRoot:
        raise
    except NotFound:
        raise Missing(f"file or directory {path!r} does not exist") from None
    _mark(found.model, query.mark)
    return found


def _mark(model: Model, mark: int | None) -> None:
    content = model.get("content")
    if mark is not None and model["type"] == "notebook" and isinstance(content, dict):
        metadata = content.get("metadata")
        if isinstance(metadata, dict):
            metadata[MARK] = mark


def _unmark(content: Any) -> Any:
    metadata = content.get("metadata") if isinstance(content, dict) else None
    return metadata.pop(MARK, None) if isinstance(metadata, dict) else None


async def notebook_on_disk(manager: Any, path: str) -> dict[str, Any] | None:
    """A notebook's content as it is; None where there is none."""
    try:
        content = (await _notebook(manager, path)).model["content"]
    except Exception as error:
        if isinstance(error, NotFound) or getattr(error, "status_code", None) == 404:
            return None
        raise
    return content if isinstance(content, dict) else None


async def _notebook(manager: Any, path: str) -> Found:
    if is_native(manager):
        return reading.find(manager, path, True, "notebook")
    model = await settled(manager.get(path, content=True, type="notebook"))
    return Found(model, os.stat_result([0] * 10), False)


async def change(manager: Any, path: str, step: Step) -> str | None:
    """Let ``step`` change a notebook; saved, as by a client, if it did. The tag of the file that was written.

    :raises NotFound: there is none.
    """
    found = await _notebook(manager, path)
    content = found.model["content"]
    if not isinstance(content, dict) or not await step.run(manager, path, content):
        return None
    model = {"type": "notebook", "format": "json", "content": content}
    if is_native(manager):
        return tag_of(manager._keep(model, path, found.plain))
    await settled(manager.save(model, path))
    return None


async def put(manager: Any, path: str, body: Buffer, if_match: str | None = None, step: Step | None = None) -> Answer:
    """Save what a client sends; make it where there is nothing.

    :param body: JSON of a model.
    :param if_match: the tags of which the file must have one, or nothing is saved.
    :param step: done to a notebook before it is saved.
    :raises PreconditionFailed: it has none of them.
    """
    parsed = parse_body(body)
    model = parsed.value
    if not model:
        return await _untitled(manager, path, {})
    if model.get("copy_from"):
        raise Invalid("Cannot copy with PUT, only POST")
    native = is_native(manager)
    is_hidden = manager._is_hidden if native else manager.is_hidden
    if not manager.allow_hidden and (
        (model.get("path") and await settled(is_hidden(model["path"]))) or await settled(is_hidden(path))
    ):
        raise Invalid(f"Cannot create file or directory {path!r}")
    if if_match is not None:
        await _precondition(manager, path, if_match)
    exists = bool(await settled((manager._file_exists if native else manager.file_exists)(path)))
    if model.get("type", "") not in (None, "", *TYPES):
        model["type"] = "file"
    if model.get("type") == "notebook":
        mark = _unmark(model.get("content"))
        if step is not None and isinstance(model.get("content"), dict):
            await step.run(manager, path, model["content"], mark)
    if native:
        model = model if exists else generic_operations.fill(model, clean(path))
        found = manager._keep(model, path, parsed.plain)
        return answer_of(found, encode(found.model), not exists and model.get("chunk") in (None, 1))
    saved = await settled(manager.save(model, path) if exists else manager.new(model, path))
    return answer_of_any(saved, created=not exists)


def parse_body(body: Buffer) -> jsonio.Parsed:
    """The JSON object of a request; an empty one where there is no body.

    :raises Invalid: not JSON, not an object (the reference's texts), or a name that is not text.
    """
    if not body:
        return jsonio.Parsed({}, True)
    try:
        parsed = jsonio.loads(body)
    except ValueError:
        raise Invalid("Invalid JSON in body of request") from None
    if parsed.value is None:
        return jsonio.Parsed({}, True)
    if not isinstance(parsed.value, dict):
        raise Invalid("The request body must be a JSON object")
    for name in ("path", "copy_from", "type", "format", "ext"):
        value = parsed.value.get(name)
        if value is not None and not isinstance(value, str):
            raise Invalid(f"{name} must be text, not {type(value).__name__}")
    return parsed


async def _precondition(manager: Any, path: str, if_match: str) -> None:
    wanted = {tag.strip() for tag in if_match.split(",")}
    current = await _tags(manager, path)
    if not current or not (wanted & current or "*" in wanted):
        raise PreconditionFailed(f"{clean(path)} was changed by someone else")


async def _tags(manager: Any, path: str) -> set[str]:
    """What the file may be called in ``If-Match``: its tag, or its quoted hash; nothing where there is no file."""
    try:
        if is_native(manager):
            found = reading.find(manager, path, False, None, None, True)
            return {f'"{found.model["hash"]}"', tag_of(found) or ""}
        model = await settled(manager.get(path, content=False, require_hash=True))
        return {f'"{model["hash"]}"'}
    except Exception as error:
        if isinstance(error, NotFound) or getattr(error, "status_code", None) == 404:
            return set()
        raise


async def commit(manager: FileContentsManager, upload: RawUpload, path: str, if_match: str | None) -> Answer:
    """Put a file that was uploaded as it is in its place.

    :raises PreconditionFailed: see :func:`put`.
    """
    if if_match is not None:
        await _precondition(manager, path, if_match)
    found, new = upload.commit()
    return answer_of(found, encode(found.model), new)


async def post(manager: Any, path: str, body: bytes) -> Answer:
    """Make a new file, notebook or directory, or a copy, under a name that the server chooses."""
    if await settled(manager.file_exists(path)):
        raise Invalid("Cannot POST to files, use PUT instead.")
    model = parse_body(body).value
    copy_from = model.get("copy_from")
    if not copy_from:
        return await _untitled(manager, path, model)
    if not manager.allow_hidden and (
        await settled(manager.is_hidden(path)) or await settled(manager.is_hidden(copy_from))
    ):
        raise Invalid(f"Cannot copy file or directory {path!r}")
    return answer_of_any(await settled(manager.copy(copy_from, path)), created=True)


async def _untitled(manager: Any, path: str, model: Model) -> Answer:
    kind = model.get("type", "")
    if kind not in (None, "", *TYPES):
        kind = "file"
    made = await settled(manager.new_untitled(path=path, type=kind or "", ext=model.get("ext", "")))
    return answer_of_any(made, created=True)


async def patch(manager: Any, path: str, body: bytes) -> Answer:
    """Rename or move."""
    model = parse_body(body).value
    if not body:
        raise Invalid("JSON body missing")
    old_path = model.get("path")
    if (
        old_path
        and not manager.allow_hidden
        and (await settled(manager.is_hidden(path)) or await settled(manager.is_hidden(old_path)))
    ):
        raise Invalid(f"Cannot rename file or directory {path!r}")
    return answer_of_any(await settled(manager.update(model, path)))


async def delete(manager: Any, path: str) -> None:
    """Delete a file or directory."""
    if not manager.allow_hidden and await settled(manager.is_hidden(path)):
        raise Invalid(f"Cannot delete file or directory {path!r}")
    manager.log.warning("delete %s", path)
    await settled(manager.delete(path))


async def _seen(manager: Any, path: str) -> None:
    """What is hidden has no checkpoints and is not trusted either.

    :raises NotFound: hidden.
    """
    if not manager.allow_hidden and await settled(manager.is_hidden(path)):
        raise NotFound(f"No such file or directory: {path}")


async def list_checkpoints(manager: Any, path: str, with_versions: bool = False) -> bytes:
    """The checkpoints of a file, as JSON.

    :param with_versions: its last saved versions too, where they are kept.
    """
    await _seen(manager, path)
    found = list(await settled(manager.list_checkpoints(path)))
    if with_versions and hasattr(manager.checkpoints, "list_versions"):
        found += manager.checkpoints.list_versions(path)
    return encode_any(found)


async def create_checkpoint(manager: Any, path: str) -> tuple[str, bytes]:
    """Keep a file as it is; gives the checkpoint's id and JSON."""
    await _seen(manager, path)
    checkpoint = await settled(manager.create_checkpoint(path))
    return checkpoint["id"], encode_any(checkpoint)


async def restore_checkpoint(manager: Any, path: str, checkpoint_id: str) -> None:
    """Make a file what it was."""
    await _seen(manager, path)
    await settled(manager.restore_checkpoint(checkpoint_id, path))


async def delete_checkpoint(manager: Any, path: str, checkpoint_id: str) -> None:
    """Forget a checkpoint."""
    await _seen(manager, path)
    await settled(manager.delete_checkpoint(checkpoint_id, path))


async def trust(manager: Any, path: str) -> None:
    """Trust a notebook's outputs."""
    await _seen(manager, path)
    await settled(manager.trust_notebook(path))


async def resolve(manager: Any, path: str) -> str | None:
    """See ``resolve_path`` of the manager; managers written before it have none."""
    if not hasattr(manager, "resolve_path"):
        return None
    return await settled(manager.resolve_path(path))


async def is_entry(manager: Any, path: str, above: str, wanted: bool) -> bool:
    """Whether a path whose end could be a verb is the path of an entry: there is one, or there may be one.

    :param above: the path without its end.
    :param wanted: the verb is one that can be meant; then an entry that is not there is not.
    """
    if await settled(manager.file_exists(path)) or await settled(manager.dir_exists(path)):
        return True
    return not wanted and bool(await settled(manager.dir_exists(above)))


async def file_exists(manager: Any, path: str) -> bool:
    """There is a file at the path."""
    return bool(await settled(manager.file_exists(path)))


async def open_file(manager: FileContentsManager, path: str) -> tuple[int, str]:
    """A descriptor of a file's bytes, and the path on disk.

    A link that leads out of the root is refused here, though ``get`` follows it; whatever becomes of the links on the
    way meanwhile, what is opened lies below the root. Source: the reference's ``/files``.

    :raises NotFound: nothing there, or hidden.
    :raises Forbidden: a directory, a special file, or out of the root.
    """
    os_path, status = reading.look(manager, clean(path))
    special = Forbidden(f"{clean(path)} is not a file")
    if not (stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode)):
        raise special
    with manager.perm_to_403(os_path):
        try:
            fd, real = open_beneath(manager.root_dir, os_path, os.O_RDONLY | os.O_NONBLOCK)
        except LeadsOut:
            raise Forbidden(f"{clean(path)} is not in root static directory") from None
        except (FileNotFoundError, NotADirectoryError):
            raise NotFound("") from None
        except OSError as error:
            if error.errno in (errno.ENXIO, errno.ENODEV):  # it has become a socket, or a device
                raise special from None
            raise
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise special
    return fd, real
