"""Start-up: wall time and CPU to the first answer, memory a second later."""

from __future__ import annotations

import time

from benchmarks.harness import Case, Figures, Server, main
from benchmarks.process import MB


def startup(server: Server) -> Figures:
    time.sleep(1.0)
    return {
        "start to first answer, s": server.ready,
        "start to first answer, CPU s": server.ready_cpu,
        "memory a second later (PSS), MB": server.pss() / MB,
    }


CASES = [Case("startup", startup)]

if __name__ == "__main__":
    main(__doc__, CASES)
