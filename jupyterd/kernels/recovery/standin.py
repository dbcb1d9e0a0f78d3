"""Stand-in of the daemon at one kernel, in the keeper: it listens along, and writes down what no daemon hears."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from twisted.internet.task import deferLater

from jupyterd.errors import Failed
from jupyterd.keeper import record
from jupyterd.keeper.record import Heard

if TYPE_CHECKING:
    from jupyterd.kernels.messages.websocket_codec import Bytes
    from jupyterd.state.keeper_link import KeeperLink
    from jupyterd.system.threads import InThread

AT_ONCE = 4 * 1024 * 1024
"""Bytes of the keeper's file that are read at once."""

FILE = "heard.log"

TRIES, PAUSE = 50, 0.02
"""How often, and after how many seconds, it is looked whether a keeper that had stopped to listen hears again."""


class Standin:
    """One kernel's.

    :param directory: the kernel's, in the server's state.
    :param quota: bytes that the keeper writes at most.
    :ivar known: what the keeper said of it when the daemon started; None where it did not listen.
    """

    def __init__(self, keeper: KeeperLink, kernel_id: str, directory: str, in_thread: InThread, quota: int) -> None:
        self._keeper, self._kernel_id, self._in_thread = keeper, kernel_id, in_thread
        self.path = os.path.join(directory, FILE)
        self._quota = quota
        self._info: Mapping[str, Any] | None = None
        self._read = 0

    def listen(self, info: Mapping[str, Any], *, again: bool = False) -> None:
        """Listen along to the kernel of ``info``.

        :param again: it does already, unless it is a new keeper.
        """
        from jupyterd.kernels.zeromq.sockets import address

        self._info = info
        if again:
            return
        fields = {
            key: value.decode() if isinstance(value := info.get(key), bytes) else value
            for key in ("curve_publickey", "curve_secretkey")
        }
        addresses = {channel.decode(): address(dict(info), channel.decode()) for channel in record.CHANNELS}
        self._keeper.say(
            "listen",
            name=self._kernel_id,
            addresses=addresses,
            file=self.path,
            quota=self._quota,
            identity=info.get("client_identity"),
            handover=bool(info.get("client_handover")),
            **fields,
        )

    def new_keeper(self) -> None:
        """The keeper was replaced."""
        if self._info is not None:
            self.listen(self._info)

    def deaf(self) -> None:
        """The kernel is down: there is nothing to be heard."""
        self._info = None

    def stored(self, signature: Bytes) -> None:
        """The message of that signature is on disk here, and all before it."""
        self._keeper.say("stored", name=self._kernel_id, signature=bytes(signature).decode("latin-1"))

    def hold(self, fd: int, counter: int | None = None, key: int | None = None) -> int:
        """Keep a client's connection open if the daemon is killed; see :meth:`KeeperLink.hold`."""
        return self._keeper.hold(fd, counter, key)

    def drop(self, key: int) -> None:
        """A connection that was held is closed."""
        self._keeper.drop(key)

    async def taken(self) -> dict[int, int]:
        """Of the former daemon's connections, by their keys: see :func:`jupyterd.keeper.taken.taken`."""
        with suppress(Failed):
            answer = await self._keeper.ask("taken")
            return {int(key): int(count) for key, count in answer["taken"].items()}
        return {}

    async def record(self, clock: Any) -> None:
        """Have it write down all from now on, beside us; done when it is heard to hear.

        :raises Failed: it does not listen.
        """
        answer = await self._keeper.ask("record", name=self._kernel_id)
        heard, tries = answer["heard"], 0 if answer["listened"] else TRIES
        while tries and answer["heard"] == heard:
            await deferLater(clock, PAUSE, lambda: None)
            answer = await self._keeper.ask("record", name=self._kernel_id)
            tries -= 1

    async def hang_up(self) -> int:
        """It takes no replies any more; how many messages it could not write down.

        :raises Failed: it does not listen.
        """
        answer = await self._keeper.ask("hang_up", name=self._kernel_id)
        return int(answer["lost"])

    async def release(self) -> int:
        """It writes nothing more; how many messages it could not write down.

        :raises Failed: it does not listen.
        """
        answer = await self._keeper.ask("release", name=self._kernel_id)
        return int(answer["lost"])

    async def heard(self, most: int | None = None) -> list[Heard]:
        """The next messages of what it wrote down; none where there are no more.

        :param most: bytes of the file behind which nothing is read now; it may grow as fast as it is read.
        """
        if most is not None and self._read >= most:
            return []
        found, self._read = await self._in_thread(_read, self.path, self._read)
        return found

    async def behind(self) -> tuple[int, int]:
        """How many bytes it has written down, and how many of them are not read yet."""
        size = await self._in_thread(_size, self.path)
        return size, size - self._read

    async def forget(self) -> None:
        """All that it wrote down is on disk here."""
        self._read = 0
        with suppress(Failed):
            await self._keeper.ask("forget_file", name=self._kernel_id)
            return
        await self._in_thread(_remove, self.path)


def _read(path: str, at: int) -> tuple[list[Heard], int]:
    size = AT_ONCE
    while True:
        try:
            with open(path, "rb") as file:
                file.seek(at)
                data = file.read(size)
        except OSError:
            return [], at
        found, length = record.unpack(data)
        if found or len(data) < size:
            return found, at + length
        size *= 4  # one message that is larger


def _size(path: str) -> int:
    try:
        return os.path.getsize(path)
    except OSError:
        return 0


def _remove(path: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(path)


def ids_of(headers: Iterable[Bytes]) -> set[str]:
    """The ids in headers of messages; those that can not be read are left out."""
    from jupyterd.kernels.messages.websocket_codec import UNREADABLE, read_header

    found = set()
    for header in headers:
        with suppress(*UNREADABLE):
            found.add(read_header(header).msg_id)
    return found
