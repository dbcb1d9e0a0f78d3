"""Static files of front ends, found in one of several directories, with what browsers may keep of them."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass

from jupyterd.errors import NotFound
from jupyterd.web.call import Call
from jupyterd.web.files import FileReply

FOREVER = "public, max-age=31536000, immutable"
_FINGERPRINT = re.compile(r"(?:^|[.\-])[0-9a-f]{8,}\.")


def find(path: str, directories: Sequence[str]) -> str:
    """The first file of that name; blocks.

    :param path: with slashes, relative to a directory.
    :raises NotFound: there is none, or the path leads out of the directory.
    """
    parts = path.split("/")
    if any(part in ("", ".", "..") or "\0" in part or os.sep in part for part in parts):
        raise NotFound("No such file")
    for directory in directories:
        candidate = os.path.join(directory, *parts)
        if os.path.isfile(candidate):
            return candidate
    raise NotFound("No such file")


@dataclass(frozen=True)
class StaticFiles:
    """Sends static files.

    :param immutable: what the paths of files that never change begin with, the base URL included.
    """

    immutable: tuple[str, ...] = ()

    def caching(self, call: Call, path: str, cache: bool = False) -> str:
        """The Cache-Control of a file.

        What has a fingerprint of its content in its name, is asked for with ``?v``, or lies where the operator says
        so never changes. All else is asked for again each time, and costs a 304 where it is the same.

        :param cache: let browsers keep other files for a while too.
        """
        if _FINGERPRINT.search(path.rpartition("/")[2]) or call.arg("v"):
            return FOREVER
        if call.request.path.decode("latin-1").startswith(self.immutable):
            return FOREVER
        return "public, max-age=3600" if cache else "no-cache"

    async def send(self, call: Call, path: str, directories: Sequence[str], cache: bool = False) -> FileReply:
        """A file of one of the directories, as a response.

        :raises NotFound: there is none.
        """
        found = await call.request.site.in_thread(find, path, directories)
        return FileReply(found, headers={"Cache-Control": self.caching(call, path, cache)})
