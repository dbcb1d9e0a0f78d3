"""How long clients may keep the server waiting, as operators set it."""

from __future__ import annotations

from traitlets import Float, Integer
from traitlets.config import LoggingConfigurable

from jupyterd.web.server.timeouts import BODY_SECONDS, HEAD_SECONDS, IDLE_SECONDS, READER_SECONDS


class HTTPLimits(LoggingConfigurable):
    """Time limits of connections. What they end is told to clients with 408 where an answer can still be given."""

    head_timeout = Float(
        HEAD_SECONDS,
        min=0.1,
        config=True,
        help="Seconds for a request's head; also for the whole body of somebody who is not known.",
    )
    body_timeout = Float(BODY_SECONDS, min=0.1, config=True, help="Seconds between two pieces of a known user's body.")
    idle_timeout = Float(IDLE_SECONDS, min=0.1, config=True, help="Seconds between two requests of a connection.")
    reader_timeout = Float(
        READER_SECONDS,
        min=0.1,
        config=True,
        help="""Seconds in which a client has to take some of an answer that waits for it (16 KiB, or all that is left).
        A download may take as long as it goes on.""",
    )
    most_waiting = Integer(
        None,
        min=1,
        allow_none=True,
        config=True,
        help="""Connections without a request that was let in, at once. The one that has waited longest makes room for
        more. Default: 1024, or a quarter of the files that the process may open.""",
    )
