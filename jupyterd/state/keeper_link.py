"""Connection of a daemon to its keeper: started when it is first needed, found again, replaced when it was killed."""

from __future__ import annotations

import os
import socket
import subprocess
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.internet.interfaces import IFileDescriptorReceiver
from twisted.internet.protocol import Factory, Protocol
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from jupyterd.errors import Failed, shortage
from jupyterd.keeper import start_keeper
from jupyterd.keeper.processes import is_same
from jupyterd.keeper.wire import VERSION, BadFrame, Decoder, Message, encode
from jupyterd.state.kept_child import KeptChild

ANSWER = 30.0
"""Seconds in which a keeper answers; one that does not is taken for dead, and what was asked has failed."""

SENT = 5.0
"""Seconds after which a descriptor is on its way to the keeper."""


class KeeperLost(Failed):
    """The keeper went away, or does not answer."""


class KeeperRefused(Failed):
    """The keeper can not do what it was asked to; the message is its own.

    :ivar errno: the system's number of the reason, None where it is another's.
    """

    def __init__(self, message: str, number: int | None = None) -> None:
        super().__init__(message)
        self.errno = number


@implementer(IFileDescriptorReceiver)
class _Conversation(Protocol):
    def __init__(self, link: KeeperLink) -> None:
        self._link = link
        self._decoder = Decoder()
        self._fds: deque[int] = deque()

    def fileDescriptorReceived(self, descriptor: int) -> None:
        """A descriptor; the message that owns it follows."""
        os.set_inheritable(descriptor, False)
        self._fds.append(descriptor)

    def dataReceived(self, data: bytes) -> None:
        """Bytes of messages."""
        try:
            for message in self._decoder.feed(data):
                count = int(message.get("fds") or 0)
                self._link.received(message, [self._fds.popleft() for _ in range(count) if self._fds])
        except BadFrame:
            assert self.transport is not None
            self.transport.abortConnection()  # type: ignore[attr-defined]

    def connectionLost(self, reason: Failure | None = None) -> None:
        """It is gone."""
        for fd in self._fds:
            os.close(fd)
        self._fds.clear()
        self._link.lost(self)


class KeeperLink:
    """One daemon's.

    :param reactor: the reactor.
    :param path: of the keeper's socket; asked for when it is first needed.
    :ivar children: those that run, and those whose end is not forgotten yet, by their names.
    :ivar heard: who is told of events of a takeover, by their names.
    :ivar replaced: called when another keeper has taken the place of one that was killed, with what lives of its
        children, or of one of an older version.
    """

    log = Logger()

    def __init__(self, reactor: Any, path: Callable[[], str]) -> None:
        self._reactor, self._path_of = reactor, path
        self._conversation: _Conversation | None = None
        self._lock = DeferredLock()
        self._number = 0
        self._waiting: dict[int, Deferred[tuple[Message, list[int]]]] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._let_go = False
        self._holds = 0
        self._version = VERSION
        self.pid: int | None = None
        self.children: dict[str, KeptChild] = {}
        self.replaced: list[Callable[[], Any]] = []
        self.heard: dict[str, Callable[[], None]] = {}

    @property
    def connected(self) -> bool:
        """Whether a keeper is there."""
        return self._conversation is not None

    # -- connecting

    async def find(self) -> Message | None:
        """Claim the keeper that a former daemon has left; what it has. None where there is none.

        :raises KeeperRefused: it is another daemon's.
        """
        if not self._connect():
            return None
        try:
            hello = await self.ask("hello", claim=True)
        except KeeperLost:
            return None
        if hello["busy"]:
            self._hang_up()
            raise KeeperRefused(f"another daemon has the keeper {hello['pid']}")
        self.pid, self._version = hello["pid"], hello["version"]
        if hello["version"] > VERSION:
            self.log.warn("the keeper speaks a newer version of its protocol: {version}", version=hello["version"])
        return hello

    async def ready(self) -> None:
        """Wait for a keeper; start one where there is none.

        :raises Failed: there can be none.
        """
        await self._lock.acquire()
        try:
            is_another = await self._has_ended_an_older()
            if self._conversation is None:
                await self._begin()
            if is_another:
                self._tell_replaced()
        finally:
            self._lock.release()

    async def _has_ended_an_older(self) -> bool:
        """Whether there was a keeper of an older version, which has nothing to keep any more and is to be replaced."""
        if self._conversation is None or self._version >= VERSION or any(map(_runs, self.children.values())):
            return False
        if not (await self.ask("end"))["ending"]:
            return False
        self.log.info("keeper {pid} is of an older version; another one takes its place", pid=self.pid)
        self._hang_up()
        return True

    async def _begin(self) -> None:
        self._reap()
        try:
            self._process = start_keeper.start(self._path_of())
        except OSError as error:
            raise (shortage(error.errno) or Failed)(f"No keeper can be started: {error}") from None
        if not self._connect():
            raise Failed("No keeper can be started: it does not answer")
        hello = await self.ask("hello", claim=True)
        self.pid, self._version = hello["pid"], hello["version"]
        self.log.debug("keeper {pid} started", pid=self.pid)

    def _connect(self) -> bool:
        path = self._path_of()
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.setblocking(False)
        try:
            with start_keeper.short_path(path) as short:
                sock.connect(short)
        except OSError:
            sock.close()
            return False
        conversation = _Conversation(self)
        factory = Factory.forProtocol(lambda: conversation)
        factory.noisy = False
        try:
            self._reactor.adoptStreamConnection(sock.fileno(), socket.AF_UNIX, factory)
        finally:
            sock.close()
        self._conversation = conversation
        return True

    def _hang_up(self) -> None:
        conversation, self._conversation = self._conversation, None
        if conversation is not None and conversation.transport is not None:
            conversation.transport.abortConnection()  # type: ignore[attr-defined]

    def let_go(self) -> None:
        """Leave the keeper, with all that it keeps, for the next daemon."""
        self._let_go = True
        self._hang_up()
        for child in self.children.values():
            child.on_end(None)
            if child.fd >= 0:
                with suppress(OSError):
                    os.close(child.fd)
                child.fd = -1

    async def end(self) -> None:
        """End the keeper, unless it keeps something."""
        if self._conversation is not None:
            with suppress(Failed):
                await self.ask("end")
        self.let_go()
        self._reap()

    def _reap(self) -> None:
        if self._process is not None and self._process.poll() is not None:
            self._process = None

    # -- speaking

    async def ask(self, op: str, fds: Sequence[int] = (), **fields: Any) -> Message:
        """Ask; descriptors of the answer are under ``fds``, ours to close.

        :raises KeeperLost: there is no keeper, or it went away.
        :raises KeeperRefused: it can not do it.
        """
        conversation = self._conversation
        if conversation is None:
            raise KeeperLost("There is no keeper")
        self._number += 1
        number = self._number
        waiting: Deferred[tuple[Message, list[int]]] = Deferred()
        self._waiting[number] = waiting
        self._write(conversation, {"op": op, "id": number, **fields}, fds)
        waiting.addTimeout(ANSWER, self._reactor)
        try:
            message, came = await waiting
        except DeferredTimeout:
            self._waiting.pop(number, None)
            if conversation.transport is not None:
                conversation.transport.abortConnection()  # type: ignore[attr-defined]
            raise KeeperLost(f"The keeper does not answer within {ANSWER:g} seconds") from None
        if "error" in message:
            for fd in came:
                os.close(fd)
            raise KeeperRefused(str(message["error"]), message.get("errno"))
        return {**message, "fds": came}

    def say(self, op: str, **fields: Any) -> None:
        """Tell; nobody waits for the answer, nor for a keeper."""
        if self._conversation is not None:
            self._write(self._conversation, {"op": op, "id": 0, **fields}, ())

    def hold(self, fd: int, counter: int | None = None, key: int | None = None) -> int:
        """Have a client's connection kept open if this daemon is killed; the number by which it is dropped.

        :param counter: a file whose position is how much was sent, where the system does not tell.
        :param key: by which another keeper held it.
        """
        if key is None:
            self._holds += 1
            key = self._holds
        if self._conversation is not None:
            copies = [os.dup(each) for each in (fd, counter) if each is not None]
            self._write(self._conversation, {"op": "hold", "id": 0, "key": key}, copies)
            for copy in copies:
                self._reactor.callLater(SENT, os.close, copy)
        return key

    def drop(self, key: int) -> None:
        """A connection that was held is closed."""
        self.say("drop", key=key)

    def _write(self, conversation: _Conversation, message: Message, fds: Sequence[int]) -> None:
        transport: Any = conversation.transport
        for fd in fds:
            transport.sendFileDescriptor(fd)
        transport.write(encode({**message, "fds": len(fds)} if fds else message))

    def received(self, message: Message, fds: list[int]) -> None:
        """An answer or an event."""
        if "event" in message:
            self._event(message)
            return
        waiting = self._waiting.pop(message.get("id") or 0, None)
        if waiting is not None:
            waiting.callback((message, fds))
        else:
            for fd in fds:
                os.close(fd)

    def _event(self, message: Message) -> None:
        told = self.heard.get(message["event"])
        if told is not None:
            told()
            return
        child = self.children.get(message.get("name", ""))
        if child is None:
            return
        if message["event"] == "stderr":
            child.wrote(message["data"].encode("latin-1"))
        elif message["event"] == "ended" and message["pid"] == child.pid:
            child.end(message["status"], message["tail"].encode("latin-1"))

    # -- children

    async def spawn(self, name: str, argv: Sequence[str], env: dict[str, str], **fields: Any) -> KeptChild:
        """Run a process: ``kind``, ``cwd``, ``size``, ``screen``, ``program``, ``info`` may be given.

        :raises KeeperRefused: it can not be run.
        :raises Unavailable: the system gives no process now.
        :raises OutOfSpace: it takes a file, and the disk is full.
        :raises Failed: there is no keeper.
        """
        await self.ready()
        try:
            answer = await self.ask("spawn", name=name, argv=list(argv), env=env, **fields)
        except KeeperRefused as error:
            raise (shortage(error.errno) or KeeperRefused)(error.message) from None
        child = KeptChild(answer, answer["fds"][0] if answer["fds"] else -1)
        child.screen = fields.get("screen")
        self.children[name] = child
        return child

    async def recall(self, model: Message, screen: str | None = None) -> KeptChild:
        """Take over a child that a former daemon had, with its pipe or pseudo-terminal."""
        answer = await self.ask("descriptor", name=model["name"])
        fd = answer["fds"][0] if answer["fds"] else -1
        child = KeptChild(answer, fd)
        child.screen, child.tail = screen, answer["tail"].encode("latin-1")
        self.children[child.name] = child
        if not answer["running"]:
            child.end(answer["status"], child.tail)
        return child

    async def adopt(self, model: Message, fd: int = -1, screen: str | None = None) -> KeptChild:
        """Have the keeper take over a process whose own keeper was killed.

        :raises KeeperRefused: it is gone.
        """
        await self.ready()
        fields = {key: model[key] for key in ("name", "kind", "pid", "started", "info") if key in model}
        answer = await self.ask("adopt", (fd,) if fd >= 0 else (), screen=screen, **fields)
        child = self.children.get(answer["name"])
        if child is None or child.pid != answer["pid"]:
            child = self.children[answer["name"]] = KeptChild(answer, fd)
            child.screen = screen
        return child

    def forget(self, child: KeptChild) -> None:
        """All is known of how a child ended."""
        child.close()
        if self.children.get(child.name) is child:
            del self.children[child.name]
            self.say("forget", name=child.name)

    # -- the keeper is killed

    def lost(self, conversation: _Conversation) -> None:
        """The connection ended."""
        if self._conversation not in (conversation, None):
            return  # another keeper has its place, and has answered all before
        waiting, self._waiting = self._waiting, {}
        if conversation is self._conversation:
            self._conversation = None
        for each in waiting.values():
            each.errback(KeeperLost("The keeper went away"))
        self._reap()
        if self._let_go or not any(map(_runs, self.children.values())):
            return
        self.log.error("the keeper {pid} went away; what it kept is taken over", pid=self.pid)
        Deferred.fromCoroutine(self._replace()).addErrback(
            lambda failure: self.log.failure("what the keeper kept could not all be taken over", failure)
        )

    async def _replace(self) -> None:
        for child in list(self.children.values()):
            if not child.running:
                continue
            if not is_same(child.pid, child.started):
                child.end(None, b"")
                continue
            model = {name: getattr(child, name) for name in ("name", "kind", "pid", "started", "info")}
            try:
                await self.adopt(model, child.fd, child.screen)
            except KeeperRefused:
                child.end(None, b"")
        self._tell_replaced()

    def _tell_replaced(self) -> None:
        for told in self.replaced:
            told()


def _runs(child: KeptChild) -> bool:
    return child.running
