"""Names that the server chooses: ``Untitled1.ipynb``, ``data-Copy2.tar.gz``.

Source: the reference's ``ContentsManager.increment_filename`` and ``copy``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

COPY_SUFFIX = re.compile(r"\-Copy\d*\.")

MAX_TRIES = 100_000
"""How many names are tried before it is said that none is free."""


def candidates(filename: str, insert: str = "") -> Iterator[str]:
    """``filename`` itself, then with ``insert`` and 1, 2, 3 ... before its suffix.

    The suffix begins at the first dot (``.tar.gz``), for notebooks at the last. There are :data:`MAX_TRIES` of them.
    """
    stem, dot, suffix = filename.rpartition(".")
    if suffix != "ipynb":
        stem, dot, suffix = filename.partition(".")
    for number in range(MAX_TRIES):
        yield f"{stem}{f'{insert}{number}' if number else ''}{dot}{suffix}"


def is_suffix(text: str) -> bool:
    """It can be the end of a file's name: no slash, no NUL, no half of a character."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return not set(text) & {"/", "\0", os.sep, os.altsep}


def without_copy_suffix(filename: str) -> str:
    """``a-Copy1.ipynb`` is copied as a copy of ``a.ipynb``."""
    return COPY_SUFFIX.sub(".", filename)


def human_size(size: int) -> str:
    """``1.5 MB``."""
    if size == 0:
        return "0 Bytes"
    units = ["Bytes", "KB", "MB", "GB", "TB", "PB"]
    order = min((size.bit_length() - 1) // 10, len(units) - 1)
    return f"{size / (1 << (order * 10)):.4g} {units[order]}"
