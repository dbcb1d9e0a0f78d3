"""A directory's entries: one scan, one pass, in the thread that asked."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator

from twisted.logger import Logger

from jupyterd.contents.files import unfinished_files
from jupyterd.contents.models import Model, base_model
from jupyterd.contents.paths import HideGlobs, is_unlistable, mimetype_of

log = Logger()


def entries(os_dir: str, path: str, *, globs: HideGlobs, allow_hidden: bool) -> list[Model]:
    """The models, without content, of what a directory holds and may be shown.

    An entry that goes away meanwhile is left out; so are special files and what may not be looked at. Unfinished files
    that a killed server left behind are removed.

    :param path: the directory's API path, clean.
    :raises OSError: the directory itself can not be read.
    """
    prefix = path + "/" if path else ""
    return list(_models(os_dir, prefix, globs, allow_hidden))


def _models(os_dir: str, prefix: str, globs: HideGlobs, allow_hidden: bool) -> Iterator[Model]:
    unfinished: list[str] = []
    with os.scandir(os_dir) as found:
        for entry in found:
            name = entry.name
            if name.startswith(unfinished_files.PREFIX):
                unfinished.append(name)
            if (name[0] == "." and not allow_hidden) or globs.hides(name):
                continue
            try:
                status = _status(entry)
                if status is None or (not allow_hidden and is_unlistable(entry.path, status)):
                    continue
                yield entry_model(entry.path, prefix + name, status)
            except OSError as error:
                if error.errno not in (errno.ENOENT, errno.EACCES, errno.ELOOP):
                    log.warn("could not look at {path}: {error}", path=entry.path, error=error)
    unfinished_files.sweep(os_dir, unfinished)


def _status(entry: os.DirEntry[str]) -> os.stat_result | None:
    """What the entry is, through links; a broken link is shown as it is, a special file not at all."""
    status = entry.stat(follow_symlinks=False)
    if stat.S_ISLNK(status.st_mode):
        try:
            status = os.stat(entry.path)
        except FileNotFoundError:
            return status
    mode = status.st_mode
    return status if stat.S_ISREG(mode) or stat.S_ISDIR(mode) else None


def entry_model(os_path: str, path: str, status: os.stat_result) -> Model:
    """The model, without content, of one file or directory; its name alone tells a notebook from a file."""
    model = base_model(path, status, os.access(os_path, os.W_OK))
    if stat.S_ISDIR(status.st_mode):
        model["size"] = None
        model["type"] = "directory"
    elif path.endswith(".ipynb"):
        model["type"] = "notebook"
    else:
        model["mimetype"] = mimetype_of(model["name"])
        model["type"] = "file"
    return model
