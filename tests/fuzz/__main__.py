"""Fuzz one target by hand: ``python -m tests.fuzz head -max_total_time=60``; needs atheris (see README.md here)."""

from __future__ import annotations

import os
import sys
import tempfile

import atheris

SEEDS = os.path.join(os.path.dirname(__file__), "seeds")


def main() -> None:
    """Instrument jupyterd and twisted.web, then run what the first argument names."""
    name, *options = sys.argv[1:]
    with atheris.instrument_imports(include=["jupyterd", "twisted.web.http"]):
        from twisted.internet import asyncioreactor

        asyncioreactor.install()
        from tests.fuzz.targets import TARGETS
    from twisted.logger import globalLogPublisher

    for observer in list(globalLogPublisher._observers):
        globalLogPublisher.removeObserver(observer)  # a log of a million refusals helps nobody
    # The first directory takes what is found: a fresh one, so that only chosen seeds are kept.
    atheris.Setup([sys.argv[0], tempfile.mkdtemp(), os.path.join(SEEDS, name), *options], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
