"""Sockets of one kernel: opened, signed for, paused, closed and opened anew."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from jupyterd.kernels.messages.adapter import OURS, adapted
from jupyterd.kernels.messages.signing import HISTORY, Signer
from jupyterd.kernels.messages.websocket_codec import DELIMITER, Parts
from jupyterd.kernels.zeromq.network import Opening

if TYPE_CHECKING:
    from jupyterd.kernels.channels.settings import ZMQChannelsWebsocketConnection
    from jupyterd.kernels.zeromq.network import Batch, Network, Socket


class KernelSockets:
    """The sockets of one kernel.

    :param network: where sockets come from; the reactor's ZeroMQ context if None.
    :ivar version: the major version of the messaging protocol that the kernel speaks.
    :ivar held_back: the kernel's iopub is not read, so that the log stays within its bounds.
    """

    def __init__(self, reactor: Any, settings: ZMQChannelsWebsocketConnection, network: Network | None) -> None:
        self.network = network
        self.signer = Signer(b"")
        self.version = OURS
        self.held_back = False
        self._reactor, self._settings = reactor, settings
        self._info: dict[str, Any] | None = None
        self._sockets: dict[str, Socket] = {}

    def leads_to(self, info: dict[str, Any]) -> bool:
        """Whether it is open, to the kernel of this connection info."""
        return bool(self._sockets) and info == self._info

    def open(
        self,
        info: dict[str, Any],
        received: Mapping[str, Callable[[Batch], None]],
        writable: Callable[[str], None],
    ) -> None:
        """Connect to the kernel of ``info``.

        :param received: who takes a turn's messages, by channel.
        :param writable: called with the channel on which a send that had to wait may be tried again.
        """
        if self._info is None or self._info != info:
            self.verify(info)
        self._info = dict(info)
        network = self.network or self._zeromq()
        # The kernel asks for input where a request came from: one for all channels.
        identity = str(info.get("client_identity") or uuid4().hex).encode()
        for channel, take in received.items():
            self._sockets[channel] = network.open(Opening(channel, info, identity, take, partial(writable, channel)))

    def verify(self, info: Mapping[str, Any]) -> None:
        """Verify messages by the key of ``info`` from now on."""
        key = info.get("key", b"")
        self.signer = Signer(
            key.encode() if isinstance(key, str) else bytes(key),
            info.get("signature_scheme") or "hmac-sha256",
            self._history(),
        )
        self._info = dict(info)

    def close(self) -> None:
        """Close the sockets."""
        sockets, self._sockets = self._sockets, {}
        for socket in sockets.values():
            socket.close()
        self._info = None
        self.held_back = False

    def post(self, channel: str, parts: Parts) -> bool:
        """Sign a message and send it; False if it has to wait."""
        socket = self._sockets.get(channel)
        if socket is None:
            return False
        if self.version < OURS:
            parts = adapted(parts, self.version)
        return socket.send([DELIMITER, self.signer.sign(parts), *parts])

    def drain(self) -> bool:
        """Read what the kernel has said on iopub; whether that was all."""
        iopub = self._sockets.get("iopub")
        return iopub is None or (iopub.drain() and not self.held_back)

    def drain_replies(self) -> None:
        """Read what the kernel has replied."""
        for channel, socket in list(self._sockets.items()):
            if channel != "iopub":
                socket.drain()

    def flow(self, on: bool) -> None:
        """The log's memory is full, or has room again."""
        self.held_back = not on
        if "iopub" in self._sockets:
            iopub = self._sockets["iopub"]
            (iopub.resume if on else iopub.pause)()

    def _history(self) -> int:
        config = self._settings.config
        return int(config["Session"].get("digest_history_size", HISTORY)) if "Session" in config else HISTORY

    def _zeromq(self) -> Network:
        from jupyterd.kernels.zeromq.sockets import network_of

        return network_of(self._reactor)
