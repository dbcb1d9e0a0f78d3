"""Themes: style sheets whose links to files beside them are made to lead back to the theme's path."""

from __future__ import annotations

import posixpath
import re
from urllib.parse import urlsplit

from jupyterd.utils import url_path_join

_LINK = re.compile(rb"url\('([^']*)'\)")


def relink(style: bytes, path: str, themes_url: str) -> bytes:
    """A style sheet with its relative links made absolute.

    :param path: of the style sheet, below the themes.
    :param themes_url: the path that all themes lie below, ``base_url`` included.
    """
    directory = url_path_join(themes_url, posixpath.dirname(path))

    def absolute(match: re.Match[bytes]) -> bytes:
        target = match[1].decode("utf-8", "replace")
        if not target or target.startswith(("/", "#")) or urlsplit(target).scheme:
            return match[0]
        return b"url('" + url_path_join(directory, target).encode() + b"')"

    return _LINK.sub(absolute, style)
