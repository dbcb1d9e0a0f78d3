"""Deleting: to the trash or for good; and how much a directory holds."""

from __future__ import annotations

import os
import shutil

from jupyterd.errors import Invalid


class TrashFailed(Invalid):
    """The system's trash did not take it; it is where it was."""


def to_trash(os_path: str) -> None:
    """Send a file or directory to the trash.

    :raises TrashFailed: nothing was deleted. The reference's status and text.
    """
    from send2trash import send2trash

    if os.path.islink(os_path) and not os.path.exists(os_path):
        os.unlink(os_path)  # a broken link: nothing that could be taken back
        return
    try:
        send2trash(os_path)
    except OSError as error:
        raise TrashFailed(f"send2trash failed: {error}") from error


def has_entries(os_dir: str, leftover: str | None) -> bool:
    """A directory holds something other than left-over checkpoints."""
    with os.scandir(os_dir) as entries:
        return any(entry.name != leftover for entry in entries)


def remove(os_path: str) -> None:
    """Delete a file, or a directory and all in it; of a link the link."""
    if os.path.isdir(os_path) and not os.path.islink(os_path):
        shutil.rmtree(os_path)
    else:
        os.unlink(os_path)


def disk_usage(os_dir: str) -> int:
    """Bytes on disk of all files below a directory; links are not followed, what can not be read counts nothing."""
    total = 0
    waiting = [os_dir]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    total += _blocks(entry)
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
        except OSError:
            continue
    return total


def _blocks(entry: os.DirEntry[str]) -> int:
    status = entry.stat(follow_symlinks=False)
    blocks = getattr(status, "st_blocks", None)
    return status.st_size if blocks is None else blocks * 512
