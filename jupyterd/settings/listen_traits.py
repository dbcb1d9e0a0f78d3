"""HTTP's time limits as settings of the server: how long clients may keep it waiting."""

from __future__ import annotations

from jupyter_core.application import JupyterApp
from traitlets import Float, Integer

from jupyterd.web.server.timeouts import BODY_SECONDS, HEAD_SECONDS, IDLE_SECONDS, READER_SECONDS


class ListenTraits(JupyterApp):
    """Time limits of connections. What they end is told to clients with 408 where an answer can still be given."""

    http_head_timeout = Float(
        HEAD_SECONDS,
        min=0.1,
        config=True,
        help="Seconds for a request's head; also for the whole body of somebody who is not known.",
    )
    http_body_timeout = Float(
        BODY_SECONDS, min=0.1, config=True, help="Seconds between two pieces of a known user's body."
    )
    http_idle_timeout = Float(IDLE_SECONDS, min=0.1, config=True, help="Seconds between two requests of a connection.")
    http_reader_timeout = Float(
        READER_SECONDS,
        min=0.1,
        config=True,
        help="""Seconds in which a client has to take some of an answer that waits for it (16 KiB, or all that is left).
        A download may take as long as it goes on.""",
    )
    http_max_waiting_connections = Integer(
        None,
        min=1,
        allow_none=True,
        config=True,
        help="""Connections without a request that was let in, at once. The one that has waited longest makes room for
        more. Default: 1024, or a quarter of the files that the process may open.""",
    )
