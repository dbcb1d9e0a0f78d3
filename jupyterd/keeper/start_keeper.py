"""A keeper started, found and asked from outside; everything here may block for a moment."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from jupyterd.keeper.wire import BadFrame, Decoder, Message, encode

SOCKET = "keeper.sock"

_BOOT = (
    "import sys; sys.path += sys.argv.pop().split({sep!r});"
    "from jupyterd.keeper.__main__ import main; main(sys.argv[1:])"
)


def unsupported() -> str:
    """Why there can be no keeper on this system; empty where there can."""
    if sys.platform != "linux":
        return "it needs Linux"
    if not hasattr(os, "pidfd_open"):
        return "this Python has no pidfd_open"
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError as error:
        return f"the system has no pidfd_open ({error.strerror})"
    return ""


@contextmanager
def short_path(path: str) -> Iterator[str]:
    """A path of a UNIX socket that is short enough, whatever the directory's is."""
    fd = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{fd}/{os.path.basename(path)}"
    finally:
        os.close(fd)


def start(path: str) -> subprocess.Popen[bytes]:
    """Start a keeper at a socket; it can be connected to at once. What lies at ``path`` is replaced.

    :raises OSError: it can not be started.
    """
    import zmq

    with suppress(FileNotFoundError):
        os.unlink(path)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with short_path(path) as short:
            previous = os.umask(0o177)
            try:
                listening.bind(short)
            finally:
                os.umask(previous)
        listening.listen(16)
        modules = (_ours(), str(zmq.__file__))
        places = dict.fromkeys(os.path.dirname(os.path.dirname(os.path.abspath(each))) for each in modules)
        code = _BOOT.format(sep=os.pathsep)
        fd = listening.fileno()
        return subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", code, str(fd), path, os.pathsep.join(places)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[fd],
            start_new_session=True,
            env={"PATH": os.environ.get("PATH", os.defpath)},
            cwd="/",
        )
    finally:
        listening.close()


def _ours() -> str:
    return os.path.dirname(os.path.abspath(__file__))


class KeeperGone(Exception):
    """No keeper answers."""


class Line:
    """A connection that waits for each answer.

    :raises KeeperGone: nobody is there.
    """

    def __init__(self, path: str, timeout: float = 10.0) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(timeout)
        self._decoder = Decoder()
        self._number = 0
        self.events: list[Message] = []
        self.fds: list[int] = []
        self._came: list[Message] = []
        try:
            with short_path(path) as short:
                self._socket.connect(short)
        except OSError as error:
            self._socket.close()
            raise KeeperGone(str(error)) from None

    def ask(self, op: str, fds: tuple[int, ...] = (), **fields: Any) -> Message:
        """Send a request and wait for its answer; descriptors that come with it are in ``fds``.

        :raises KeeperGone: it does not answer.
        """
        self._number += 1
        request = {"id": self._number, "op": op, **fields}
        if fds:
            request["fds"] = len(fds)
        try:
            socket.send_fds(self._socket, [encode(request)], list(fds))
            while True:
                message = self.next()
                if message.get("id") == self._number:
                    return message
                self.events.append(message)
        except (OSError, BadFrame) as error:
            raise KeeperGone(str(error)) from None

    def next(self) -> Message:
        """The next message, whatever it is.

        :raises OSError: there is none.
        """
        while not self._came:
            data, fds, _, _ = socket.recv_fds(self._socket, 65536, 16)
            self.fds += fds
            if not data:
                raise ConnectionResetError("closed")
            self._came += self._decoder.feed(data)
        return self._came.pop(0)

    def close(self) -> None:
        """Hang up."""
        self._socket.close()
