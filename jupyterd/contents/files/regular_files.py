"""Plain files between disk and client: text or base64, read once from one open file."""

from __future__ import annotations

import hashlib
import os
import stat
from base64 import decodebytes, encodebytes
from dataclasses import dataclass
from typing import Any

from jupyterd.contents.files.os_errors import named_faults
from jupyterd.errors import Invalid

BLOCK = 1 << 20


@dataclass(frozen=True)
class Bytes:
    """A file's bytes, and its status when they were read."""

    data: bytes
    status: os.stat_result


def open_regular(os_path: str, root: str, known: os.stat_result | None = None) -> int:
    """A descriptor of a regular file. A fifo, a socket or a device is never opened.

    :param known: its status, where it was just looked at.
    :raises Invalid: not a regular file. The reference's text.
    :raises PermissionDenied: it may not be read.
    """
    refusal = Invalid(f"Cannot read non-file {os_path}")
    try:
        if not stat.S_ISREG((known or os.stat(os_path)).st_mode):
            raise refusal
        with named_faults(root, os_path):
            fd = os.open(os_path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | getattr(os, "O_BINARY", 0))
    except (FileNotFoundError, NotADirectoryError):
        raise refusal from None
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise refusal
    return fd


def read(os_path: str, root: str, known: os.stat_result | None = None) -> Bytes:
    """All of a file, with as few system calls as can be: the reactor's thread is in the way of each.

    :param known: see :func:`open_regular`.
    :raises Invalid, PermissionDenied: see :func:`open_regular`.
    """
    fd = open_regular(os_path, root, known)
    try:
        status = os.fstat(fd)
        data = os.read(fd, status.st_size + 1)
        if len(data) != status.st_size or not data:  # it grows, or the system does not know its size
            with open(fd, "rb", closefd=False) as rest:
                data += rest.read()
        return Bytes(data, status)
    finally:
        os.close(fd)


def as_content(data: bytes, wanted: str | None, os_path: str) -> tuple[str, str]:
    """Content and format of a file model.

    :param wanted: ``text``, ``base64``, or None for text where it is UTF-8.
    :raises Invalid: text is wanted and it is not UTF-8.
    """
    if wanted is None or wanted == "text":
        try:
            return data.decode(), "text"
        except UnicodeDecodeError:
            if wanted == "text":
                raise Invalid(f"{os_path} is not UTF-8 encoded", reason="bad format") from None
    return encodebytes(data).decode("ascii"), "base64"


def as_bytes(content: Any, form: Any, os_path: str) -> bytes:
    """What a file model's content stands for.

    :raises Invalid: a format other than ``text`` and ``base64``, or content that is not of it.
    """
    if form not in ("text", "base64"):
        raise Invalid("Must specify format of file contents as 'text' or 'base64'")
    try:
        if form == "text":
            return bytes(content.encode("utf8"))
        return decodebytes(content.encode("ascii"))
    except Exception as error:
        raise Invalid(f"Encoding error saving {os_path}: {error}") from error


def digest(data: bytes, algorithm: str) -> dict[str, str]:
    """The ``hash`` and ``hash_algorithm`` of a model."""
    return {"hash": hashlib.new(algorithm, data).hexdigest(), "hash_algorithm": algorithm}


def digest_of(os_path: str, root: str, algorithm: str) -> tuple[dict[str, str], os.stat_result]:
    """The same of a file that is not wanted otherwise, block by block; with its status."""
    fd = open_regular(os_path, root)
    with os.fdopen(fd, "rb", buffering=0) as file:
        hasher = hashlib.new(algorithm)
        while block := file.read(BLOCK):
            hasher.update(block)
        return {"hash": hasher.hexdigest(), "hash_algorithm": algorithm}, os.fstat(fd)
