"""Two servers with equal files and settings: jupyterd and the reference, asked the same things."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from subprocess import TimeoutExpired
from typing import Any

from tests.real.daemon import BIN, JUPYTERD, Answer, Daemon, running

LAB = (str(BIN / "jupyter-lab"),)
"""The reference with JupyterLab's own API; its extensions are found below the test's interpreter."""
ENVIRONMENT = {"JUPYTER_NO_CONFIG": "", "JUPYTER_PREFER_ENV_PATH": "0"}
"""Extensions are found beside the interpreter, and the user's settings win."""
WHEN = 1_700_000_000
"""When all files of the roots were changed, so that times compare."""
PASSWORD = "s3cret"
HASHED = "sha1:67c9e60bb8b6:d77b5ee4ae219c1d19d696ec9293b2b8d4079102"
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
CELLS = [
    {"cell_type": "markdown", "id": "a", "metadata": {}, "source": "# Title"},
    {
        "cell_type": "code",
        "id": "b",
        "metadata": {},
        "source": "1 + 1",
        "execution_count": 1,
        "outputs": [
            {"output_type": "execute_result", "execution_count": 1, "metadata": {}, "data": {"text/plain": "2"}}
        ],
    },
]
NOTEBOOK: dict[str, Any] = {"cells": CELLS, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
OLD_NOTEBOOK = {
    "metadata": {"name": ""},
    "nbformat": 3,
    "nbformat_minor": 0,
    "worksheets": [{"cells": [{"cell_type": "code", "input": "1", "outputs": [], "language": "python"}]}],
}
FILES: dict[str, bytes] = {
    "plain.txt": b"one\ntwo\n",
    "script.py": b"print('hello')\n",
    "data.csv": b"a,b\n1,2\n",
    "page.html": b"<script>alert(1)</script>",
    "drawing.svg": b'<svg xmlns="http://www.w3.org/2000/svg"/>',
    "image.png": PNG,
    "binary.bin": bytes(range(256)),
    "latin1.txt": b"caf\xe9\n",
    "bom.txt": b"\xef\xbb\xbfbom\n",
    "crlf.txt": b"one\r\ntwo\r\n",
    "empty.txt": b"",
    "noextension": b"text",
    "archive.tar.gz": b"\x1f\x8b\x08\x00",
    "nb.ipynb": json.dumps(NOTEBOOK, indent=1).encode(),
    "old.ipynb": json.dumps(OLD_NOTEBOOK).encode(),
    "future.ipynb": json.dumps({**NOTEBOOK, "nbformat_minor": 99}).encode(),
    "next.ipynb": json.dumps({**NOTEBOOK, "nbformat": 5}).encode(),
    "broken.ipynb": b'{"cells": [',
    "list.ipynb": b"[]",
    "number.ipynb": b"7",
    "empty.ipynb": b"",
    "invalid.ipynb": json.dumps({**NOTEBOOK, "cells": [{"cell_type": "code"}]}).encode(),
    "latin1.ipynb": b'{"cells": [], "metadata": {"a": "\xe9"}, "nbformat": 4, "nbformat_minor": 5}',
    "sp ace.txt": b"space",
    "\u00fcn\u00ef \u4e2d.txt": b"unicode",
    "per%cent.txt": b"percent",
    "per%20cent.txt": b"percent twenty",
    "new\nline.txt": b"newline",
    "quo\"te'.txt": b"quotes",
    "plus+.txt": b"plus",
    "hash#.txt": b"hash",
    "ques?.txt": b"question",
    "amp&.txt": b"ampersand",
    "semi;.txt": b"semicolon",
    "back\\slash.txt": b"backslash",
    "~tilde.txt": b"tilde",
    "checkpoints": b"a file that is called checkpoints",
    "checkpoints.txt": b"a file that is called so",
    ".hidden.txt": b"hidden",
    ".hidden/inside.txt": b"hidden by its directory",
    "__pycache__/x.pyc": b"hidden by its name",
    "dir/inner.txt": b"inner",
    "dir/nested/deep.txt": b"deep",
    "dir/nb.ipynb": json.dumps(NOTEBOOK).encode(),
    "folder.ipynb/x.txt": b"in a directory that looks like a notebook",
    "trust/x.txt": b"in a directory called trust",
    "full/a.txt": b"a",
    "full/b/c.txt": b"c",
}


def fill(root: Path) -> None:
    """Write the files that both servers serve."""
    for name, data in FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    for name in ("empty dir", ".ipynb_checkpoints"):
        (root / name).mkdir()
    (root / "link.txt").symlink_to("plain.txt")
    (root / "link dir").symlink_to("dir")
    (root / "dangling.txt").symlink_to("nowhere")
    (root / "outside.txt").symlink_to("/etc/hostname")
    (root / "loop.txt").symlink_to("loop.txt")
    os.mkfifo(root / "fifo")
    for directory, directories, files in os.walk(root):
        for name in (*files, *directories, "."):
            with suppress(OSError):
                os.utime(Path(directory, name), (WHEN, WHEN), follow_symlinks=False)


@dataclass
class Server:
    """One of the two, with a browser's cookies, and what its answers named."""

    daemon: Daemon
    known: dict[str, str] = field(default_factory=dict)
    cookies: dict[str, str] = field(default_factory=dict)
    _connection: HTTPConnection | None = None

    def ask(self, method: str, path: str, body: bytes | None, headers: Sequence[tuple[str, str]]) -> Answer:
        """One request, on a kept connection, opened again where it was closed."""
        for _ in range(2):
            if self._connection is None:
                self._connection = self.daemon.connection(20.0)
            try:
                return self._once(self._connection, method, path, body, headers)
            except TimeoutError:
                self._forget()
                return Answer(0, {}, b"no answer")
            except (OSError, HTTPException):
                self._forget()
        return Answer(0, {}, b"closed")

    def _forget(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def _once(
        self, connection: HTTPConnection, method: str, path: str, body: bytes | None, headers: Sequence[tuple[str, str]]
    ) -> Answer:
        connection.putrequest(method, path, skip_host=any(n == "Host" for n, _ in headers), skip_accept_encoding=True)
        for name, value in headers:
            connection.putheader(name, value)
        if body is not None or method in ("POST", "PUT", "PATCH"):
            connection.putheader("Content-Length", str(len(body or b"")))
        connection.endheaders(body)
        response = connection.getresponse()
        names: dict[str, list[str]] = {}
        for name, value in response.getheaders():
            names.setdefault(name.title(), []).append(value)
        return Answer(response.status, {n: "\n".join(v) for n, v in names.items()}, response.read())


@dataclass
class Pair:
    """Both servers."""

    ours: Server
    theirs: Server

    def __iter__(self) -> Iterator[Server]:
        return iter((self.ours, self.theirs))


def configure(directory: Path, config: dict[str, Any] | None) -> None:
    """The user's settings; and no extension changes what the reference's own classes answer."""
    directory.mkdir(parents=True)
    quiet = {
        "ServerApp": {"jpserver_extensions": {"jupyterlab_jupytext": False}, **(config or {}).get("ServerApp", {})}
    }
    (directory / "jupyter_server_config.json").write_text(json.dumps({**(config or {}), **quiet}))


@contextmanager
def pair(home: Path, *options: str, config: dict[str, Any] | None = None) -> Iterator[Pair]:
    """Both servers with the same ``options`` and the same files, until the end of the block."""
    for name in ("ours", "theirs"):
        (home / name / "root").mkdir(parents=True)
        fill(home / name / "root")
        configure(home / name / "config", config)
    with (
        running(home / "ours", *options, argv=JUPYTERD, **ENVIRONMENT) as ours,
        suppress(TimeoutExpired),
        running(home / "theirs", *options, argv=LAB, end=10.0, **ENVIRONMENT) as theirs,
    ):
        yield Pair(Server(ours), Server(theirs))
