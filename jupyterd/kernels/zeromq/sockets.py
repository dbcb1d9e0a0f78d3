"""ZeroMQ under the reactor: the only import of txzmq, and of what it does not do.

txzmq gives the socket, its descriptor and the reactor's reader. Ours reads a bounded batch a turn, so that a
flooding kernel leaves the reactor to others, takes its reactor from who makes it, and says when a send has to wait.
"""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

import zmq
from twisted.logger import Logger
from txzmq import ZmqConnection, ZmqEndpoint, ZmqEndpointType, ZmqFactory

from jupyterd.kernels.messages.websocket_codec import DELIMITER, Parts
from jupyterd.kernels.zeromq.high_water import HighWater
from jupyterd.kernels.zeromq.network import Batch, Opening, Socket

TURN_MESSAGES = 128
TURN_BYTES = 512 * 1024
"""What one socket may read before the reactor serves the others."""

DRAIN_TURNS = 64
"""At most so many turns are read when iopub is drained before a message of the server's is appended."""

SHARED = 16 * 1024
"""A part of so many bytes is not copied out of ZeroMQ's memory."""

SEND_LIMIT = 1000
"""Messages to a kernel that ZeroMQ holds before a send has to wait."""

_NOBLOCK = int(zmq.NOBLOCK)
_MORE = _NOBLOCK | int(zmq.SNDMORE)


class ZeroMQ(ZmqFactory):
    """All sockets of one reactor, in one ZeroMQ context."""

    lingerPeriod = 1000
    MAX_SOCKETS = 65536

    def __init__(self, reactor: Any) -> None:
        super().__init__()
        self.reactor = reactor
        self.context.set(zmq.MAX_SOCKETS, self.MAX_SOCKETS)
        self.trigger = reactor.addSystemEventTrigger("after", "shutdown", self.shutdown)

    def shutdown(self) -> None:
        """Close all; what was not sent is given up."""
        for connection in list(self.connections):
            connection.close(linger=0)
        self.context.destroy(linger=0)

    def open(self, opening: Opening) -> Socket:
        """See :class:`~jupyterd.kernels.zeromq.network.Network`."""
        return KernelSocket(self, opening)


_networks: WeakKeyDictionary[Any, ZeroMQ] = WeakKeyDictionary()


def network_of(reactor: Any) -> ZeroMQ:
    """The one ZeroMQ context of a reactor."""
    if reactor not in _networks:
        _networks[reactor] = ZeroMQ(reactor)
    return _networks[reactor]


def address(info: dict[str, Any], channel: str) -> str:
    """Where a kernel's channel listens. Source: jupyter_client documentation, connection files."""
    between = "-" if info.get("transport", "tcp") == "ipc" else ":"
    return f"{info.get('transport', 'tcp')}://{info['ip']}{between}{info[f'{channel}_port']}"


class KernelSocket(ZmqConnection):
    """A channel's socket; see :class:`~jupyterd.kernels.zeromq.network.Socket`."""

    log = Logger()

    def __init__(self, factory: ZeroMQ, opening: Opening) -> None:
        channel, info = opening.channel, opening.info
        self.socketType = zmq.SUB if channel == "iopub" else zmq.DEALER
        self._received = opening.received
        self._writable = opening.writable
        self._pausing = self._paused = False
        self._waiting = False
        self._limit = HighWater(lambda mark: self.socket.set(zmq.RCVHWM, mark))
        super().__init__(factory, None, opening.identity)
        self.socket.set(zmq.SNDHWM, SEND_LIMIT)
        self.socket.set(zmq.RCVHWM, self._limit.mark)
        _encrypt(self.socket, info)
        if channel == "iopub":
            self.socket.set(zmq.SUBSCRIBE, b"")
        try:
            self.addEndpoints([ZmqEndpoint(ZmqEndpointType.connect, address(info, channel))])
        except Exception:
            self.close()
            raise
        self._turn_later()

    def send(self, parts: Parts) -> bool:
        """Send a message whole, or not at all."""
        send = self.socket.send
        flags = _MORE
        last = len(parts) - 1
        try:
            for number, part in enumerate(parts):
                if number == last:
                    flags = _NOBLOCK
                send(part, flags, len(part) < SHARED)
        except zmq.Again:
            self._waiting = True
            return False
        self._turn_later()  # a send may swallow the descriptor's signal that something has arrived
        return True

    def doRead(self) -> None:
        """One turn: the reactor saw the descriptor, or :meth:`_turn` is due."""
        if self.read_scheduled is None:
            self._turn()

    def _turn(self) -> None:
        self.read_scheduled = None
        if self.factory is None:
            return
        if self._waiting and self.socket.get(zmq.EVENTS) & zmq.POLLOUT:
            self._waiting = False
            self._writable()
        if self._paused or self.factory is None:
            return
        batch, more = self._read()
        self._pause_if_bounded()
        if more:
            self._turn_later()
        if batch:
            self._received(batch)

    def _turn_later(self) -> None:
        # the descriptor is edge-triggered: what is left in the socket will not wake the reactor again
        if self.read_scheduled is None and self.factory is not None:
            self.read_scheduled = self.factory.reactor.callLater(0, self._turn)

    def _read(self) -> tuple[Batch, bool]:
        """At most a turn's messages, and whether there may be more.

        A message's parts arrive together, and asking whether one more follows costs more than reading it: the
        parts that the protocol prescribes are read without asking. Where the delimiter is not where it should be,
        :func:`realigned` finds it.
        """
        receive, limit = self.socket.recv, self._limit
        batch: Batch = []
        budget = counted = TURN_BYTES
        message: list[Any] = []
        due = limit.left
        more = True
        try:
            for _ in range(TURN_MESSAGES):
                message = [receive(_NOBLOCK)]
                if message[0] != DELIMITER:
                    message = [receive(_NOBLOCK)]
                if message[0] == DELIMITER:
                    message = [receive(_NOBLOCK), receive(_NOBLOCK), receive(_NOBLOCK), receive(_NOBLOCK)]
                frame = receive(_NOBLOCK, False)
                while True:
                    size = len(frame)
                    budget -= size
                    message.append(frame.buffer if size >= SHARED else frame.bytes)
                    if not frame.more:
                        break
                    frame = receive(_NOBLOCK, False)
                if len(message) < 5 or DELIMITER in message:
                    limit.lost_count()
                    message = realigned(message)
                if len(message) >= 5:
                    batch.append(message)
                message = []
                due -= 1
                if not due:
                    limit.took(limit.left, counted - budget, True)
                    due, counted = limit.left, budget
                if budget < 0:
                    break
        except zmq.Again:
            more = False
            if message:
                limit.lost_count()
                self.log.warn("a message of too few parts from a kernel is dropped")
        limit.took(limit.left - due, counted - budget, more)
        return batch, more

    def drain(self) -> bool:
        """Read, now, what has arrived; whether that is all there is."""
        for _ in range(DRAIN_TURNS):
            if self._paused or self.factory is None:
                return False
            batch, more = self._read()
            if batch:
                self._received(batch)
            if not more:
                return True
        return False

    def pause(self) -> None:
        """Read nothing more; ZeroMQ goes on to receive, up to its mark.

        Where that is too high for messages as they come now, it is lowered first: a few more are read until it is.
        """
        self._pausing = True
        self._limit.settle()
        self._pause_if_bounded()

    def _pause_if_bounded(self) -> None:
        if self._pausing and not self._paused and self._limit.fits:
            self._paused = True
            if self.factory is not None:
                self.factory.reactor.removeReader(self)

    def resume(self) -> None:
        """Read again."""
        self._pausing = self._paused = False
        if self.factory is not None:
            self.factory.reactor.addReader(self)
            self._turn_later()

    def close(self, linger: int = 0) -> None:
        """Close; what was sent has ``linger`` milliseconds to leave, in ZeroMQ's own thread.

        None by default: what the old process did not take must not reach the new one that binds the same address.
        """
        if self.factory is not None:
            self.socket.set(zmq.LINGER, linger)
            self.shutdown()


def realigned(message: list[Any]) -> list[Any]:
    """What follows the last delimiter, where it can be a message; else ``message``: the delimiter is a buffer."""
    for index in range(len(message) - 6, -1, -1):
        if message[index] == DELIMITER:
            return message[index + 1 :]
    return message


def _encrypt(socket: Any, info: dict[str, Any]) -> None:
    public, secret = info.get("curve_publickey"), info.get("curve_secretkey")
    if public and secret:
        as_bytes = [key.encode() if isinstance(key, str) else key for key in (public, secret)]
        socket.curve_publickey, socket.curve_secretkey = as_bytes
        socket.curve_serverkey = as_bytes[0]
