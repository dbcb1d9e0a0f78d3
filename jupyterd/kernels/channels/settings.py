"""Settings of kernel connections, under the class name operators already write."""

from __future__ import annotations

from traitlets import Bool, Float, Integer, Unicode
from traitlets.config import LoggingConfigurable

from jupyterd.web.websocket.ping import ping_times

MIB = 1024 * 1024


class ZMQChannelsWebsocketConnection(LoggingConfigurable):
    """How kernels' messages reach websockets: limits, memory, disk and time. Sizes are bytes, times are seconds."""

    kernel_ws_protocol = Unicode(
        None,
        allow_none=True,
        help="The websocket subprotocol to prefer; None takes the newest the client offers, '' the JSON one.",
    ).tag(config=True)

    kernel_info_timeout = Float(
        60.0, help="How long a kernel may take to answer before its clients are let through to it all the same."
    ).tag(config=True)

    limit_rate = Bool(
        False,
        help="Whether to drop iopub messages above the rates below. Off: the message log bounds memory without loss.",
    ).tag(config=True)

    iopub_msg_rate_limit = Float(
        1000.0, help="Messages a second above which a client gets no more, with limit_rate."
    ).tag(config=True)

    iopub_data_rate_limit = Float(
        1000000.0, help="Bytes of stream output a second above which a client gets no more, with limit_rate."
    ).tag(config=True)

    rate_limit_window = Float(3.0, help="The time over which the rates are taken.").tag(config=True)

    message_log_retained_bytes = Integer(
        2 * MIB,
        help="What each kernel's log keeps in memory although every client has it: for resuming and the REST log.",
    ).tag(config=True)

    message_log_memory_bytes = Integer(
        12 * MIB, help="What each kernel's log keeps in memory for clients that lag or are away; the rest goes to disk."
    ).tag(config=True)

    message_log_disk_bytes = Integer(
        1024 * MIB, help="What each kernel's log may keep on disk for clients that lag or are away."
    ).tag(config=True)

    message_log_on_disk = Bool(
        True,
        help="Whether what a kernel says is on disk half a second later, for the next start of the server, where "
        "kernels outlive it (ServerApp.keeper).",
    ).tag(config=True)

    offline_session_timeout = Float(
        24 * 3600.0, help="How long a disconnected session's messages are kept for its return."
    ).tag(config=True)

    closed_session_timeout = Float(
        900.0, help="The same for a session whose client closed its websocket itself, as a page does when it is left."
    ).tag(config=True)

    coalesce_stream_after = Float(
        30.0,
        help="Adjacent stream messages of one cell are merged for a client that gets them so late; 0 never merges.",
    ).tag(config=True)

    max_message_size = Integer(
        100 * MIB, help="A larger message from a client closes its websocket with code 1009; 0 for no limit."
    ).tag(config=True)

    client_buffer_bytes = Integer(
        MIB, help="What one client may have waiting for a kernel that does not take it, before its websocket is paused."
    ).tag(config=True)

    confirm_by_pongs = Bool(
        None,
        allow_none=True,
        help="Whether only a client's pongs, not TCP, say what it has received. None: where a proxy's headers say "
        "that it stands between. True for tunnels, which say nothing.",
    ).tag(config=True)

    @property
    def ping(self) -> tuple[float, float]:
        """See :func:`jupyterd.web.websocket.ping.ping_times`."""
        server = self.parent
        return ping_times(getattr(server, "websocket_ping_interval", 0), getattr(server, "websocket_ping_timeout", 0))
