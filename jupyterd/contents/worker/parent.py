"""Parent of the worker: large notebooks are parsed, checked and written by a child with its own interpreter lock.

The process is started with the first one, kept while it is used, and ends by itself when it is idle.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import tempfile
from base64 import b64encode
from contextlib import suppress
from importlib import import_module
from threading import Lock
from typing import Any

from twisted.logger import Logger

from jupyterd.contents.managers.filemanager import AsyncFileContentsManager, FileContentsManager
from jupyterd.contents.managers.largefilemanager import AsyncLargeFileManager, LargeFileManager
from jupyterd.errors import Failed, JupyterdError
from jupyterd.system.daemon_directory import DaemonDirectory

WORKER = "jupyterd.contents.worker.child"
LARGE = 2 << 20
"""Bytes of a notebook, or of a request's body, from which on the child process does the work."""

IDLE = 120.0
"""Seconds after which an unused child process ends."""

END_TIMEOUT = 10.0
"""Seconds that a server which ends waits for the child process."""

_STOCK = (FileContentsManager, AsyncFileContentsManager, LargeFileManager, AsyncLargeFileManager)
_TRAITS = (
    "root_dir",
    "allow_hidden",
    "max_content_bytes",
    "use_atomic_writing",
    "hash_algorithm",
    "notebook_versions",
    "notebook_versions_bytes",
    "notebook_versions_interval",
)


class WorkerDied(Failed):
    """The child process ended in the middle of its work, most likely for want of memory. Old files are intact."""


def can_delegate(manager: Any) -> bool:
    """The manager is a built-in one and nothing that an operator has written takes part in reading or saving."""
    from jupyterd.contents.managers.checkpoints import AsyncFileCheckpoints, FileCheckpoints
    from jupyterd.contents.notebooks.signature_store import SharedSignatureStore

    return (
        type(manager) in _STOCK
        and not manager.pre_save_hooks
        and not manager.post_save_hooks
        and type(manager.checkpoints) in (FileCheckpoints, AsyncFileCheckpoints)
        and isinstance(manager.notary.store, SharedSignatureStore)
    )


def describe(manager: FileContentsManager) -> dict[str, Any]:
    """What the child process must know to make the same manager."""
    notary, checkpoints = manager.notary, manager.checkpoints
    return {
        "traits": {name: getattr(manager, name) for name in _TRAITS},
        "checkpoints": {"checkpoint_dir": checkpoints.checkpoint_dir, "root_dir": checkpoints.root_dir},
        "notary": {
            "algorithm": notary.algorithm,
            "db_file": notary.db_file,
            "secret": b64encode(notary.secret).decode(),
        },
    }


class Worker:
    """One child process, and a directory for what goes there and back. Its methods block: call them in threads.

    :param manager: whose files are worked on.
    """

    log = Logger()

    def __init__(self, manager: FileContentsManager) -> None:
        self._manager = manager
        self._lock = Lock()
        self._making = Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._directory = DaemonDirectory("jupyterd-work-", [tempfile.gettempdir()])

    def new_path(self) -> str:
        """A path for a temporary file."""
        with self._making:
            return self._directory.join(secrets.token_hex(8))

    def do(self, operation: str, **arguments: Any) -> dict[str, Any]:
        """Have the child process run one of :data:`jupyterd.contents.worker.child.OPERATIONS`.

        :raises JupyterdError: what the operation raised.
        :raises WorkerDied: it did not answer.
        """
        request = json.dumps({"do": operation, **arguments}).encode() + b"\n"
        self._manager.notary.store.flush()  # what was signed here is known there
        with self._lock:
            reply = self._ask(request) or self._ask(request, fresh=True)
            if reply is None:
                self._end()
                raise WorkerDied("The process that works on large notebooks ended; nothing was changed")
        for line in reply.get("log", ()):
            self.log.warn("{line}", line=line)
        if "error" in reply:
            raise _error_of(reply["error"])
        return dict(reply["result"])

    def _ask(self, request: bytes, fresh: bool = False) -> dict[str, Any] | None:
        """The reply; None where the process ended before it took the request, or while it worked on it."""
        if fresh and self._process is not None and self._process.poll() in (0, None):
            self._end()
        if self._process is None or self._process.poll() is not None:
            self._start()
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(request)
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except OSError:
            return None
        return json.loads(line) if line else None

    def _start(self) -> None:
        settings = json.dumps(describe(self._manager)).encode() + b"\n"
        environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "1073741824", "MALLOC_TRIM_THRESHOLD_": "536870912"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", WORKER, str(IDLE)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            cwd="/",
            start_new_session=True,
        )
        assert self._process.stdin is not None
        self._process.stdin.write(settings)
        self._process.stdin.flush()

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with suppress(OSError):  # it is gone already
                        pipe.close()
            try:
                process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def close(self) -> None:
        """End the process, remove the directory. What it works on may be finished, if that does not take long."""
        process = self._process
        if not self._lock.acquire(timeout=END_TIMEOUT) and process is not None:
            process.kill()
            self._lock.acquire()
        try:
            self._end()
        finally:
            self._lock.release()
        self._directory.close()


def _error_of(error: dict[str, Any]) -> Exception:
    """The exception that the child process told of; of ours by its class, any other as a defect."""
    module, _, name = str(error["kind"]).rpartition(".")
    if module.startswith("jupyterd."):
        kind = getattr(import_module(module), name, None)
        if isinstance(kind, type) and issubclass(kind, JupyterdError):
            return kind(error["message"], error["reason"])
    return RuntimeError(f"{error['kind']}: {error['message']}\n{error.get('traceback', '')}")
