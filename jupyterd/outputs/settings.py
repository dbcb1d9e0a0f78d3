"""Settings of recorded outputs."""

from __future__ import annotations

from traitlets import Bool, Float, Integer
from traitlets.config import LoggingConfigurable

MIB = 1024 * 1024


class OutputRecorder(LoggingConfigurable):
    """How cells' outputs reach notebooks when no page brings them there. Sizes are bytes, times are seconds."""

    enabled = Bool(
        True,
        help="Whether outputs that no page has saved are written into the notebook. Off, the message log alone has "
        "them, for who comes back.",
    ).tag(config=True)

    closed_page_timeout = Float(
        60.0,
        help="How long after the page that ran a cell was closed or left its outputs are written into the file.",
    ).tag(config=True)

    lost_page_timeout = Float(
        3600.0,
        help="The same where the page's connection was lost: a computer that sleeps wakes up and goes on.",
    ).tag(config=True)

    max_cell_bytes = Integer(
        32 * MIB, help="What the outputs of one cell may have. Of more text the middle is left out, and said so."
    ).tag(config=True)

    max_executions = Integer(
        1000,
        help="How many executions whose outputs are not in a file are remembered of one kernel; the oldest go first.",
    ).tag(config=True)

    unplaced_timeout = Float(
        24 * 3600.0,
        help="How long outputs are kept that have no place in the notebook: their cell was changed or is gone.",
    ).tag(config=True)

    retry_interval = Float(
        30.0, help="How long to wait before a file that could not be written is tried again; twice as long each time."
    ).tag(config=True)
