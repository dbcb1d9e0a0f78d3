"""Start-up: wall time and CPU to the first answer, memory a second later and after the first work."""

from __future__ import annotations

import time

from benchmarks.channels import kernel_of
from benchmarks.harness import Case, Figures, Server, main
from benchmarks.process import MB


def startup(server: Server) -> Figures:
    time.sleep(1.0)
    figures = {
        "start to first answer, s": server.ready,
        "start to first answer, CPU s": server.ready_cpu,
        "memory a second later (PSS), MB": server.pss() / MB,
    }
    work(server)
    return {**figures, "memory after a listing, a notebook and a kernel (PSS), MB": server.pss() / MB}


def work(server: Server) -> None:
    """What a user does first: much is imported only then."""
    server.json("GET", "/api/contents")
    server.json("POST", "/api/contents", {"type": "notebook"})
    server.json("GET", "/api/contents/Untitled.ipynb")
    _, connect = kernel_of(server)
    tab = connect("")
    tab.until_idle(tab.execute(""))
    tab.close()


CASES = [Case("startup", startup)]

if __name__ == "__main__":
    main(__doc__, CASES)
