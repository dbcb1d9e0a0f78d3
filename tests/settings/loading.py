"""Settings as a command line makes them, or the line that refuses it."""

from __future__ import annotations

import pytest

from jupyterd.serverapp import ServerApp
from jupyterd.settings.load import BadSettings, load


def server(*argv: str) -> ServerApp:
    return load(argv).server


def refused(*argv: str) -> str:
    with pytest.raises(BadSettings) as caught:
        load(argv)
    assert "\n" not in str(caught.value)
    return str(caught.value)
