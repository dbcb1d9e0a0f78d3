"""``/api/kernels/<id>/channels``, ``/log`` and ``/execute``: what a kernel says and is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from twisted.logger import Logger

from jupyterd.web.api import Call, Routes, json_api

if TYPE_CHECKING:
    from jupyterd.kernels.channels import KernelChannels
    from jupyterd.web.websocket import SocketProtocol


class ChannelsResource:
    """The websockets of kernels.

    :param channels_of: a kernel's channels by its id. Raises ``NoSuchKernel``.
    """

    app = Routes()
    api = json_api(app)
    log = Logger()

    def __init__(self, channels_of: Callable[[str], KernelChannels]) -> None:
        self._channels_of = channels_of

    @api.websocket("/api/kernels/<kernel_id>/channels")
    async def channels(self, call: Call, kernel_id: str) -> SocketProtocol:
        """Speak with a kernel; ``session_id`` in the query names the place to come back to."""
        from jupyterd.kernels.protocol import ChannelsProtocol

        channels = self._channels_of(kernel_id)
        session_id = call.arg("session_id")
        if not session_id:
            self.log.warn("No session ID specified")
        return ChannelsProtocol(channels, session_id)
