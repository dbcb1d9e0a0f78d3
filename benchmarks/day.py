"""Memory after a day's work: a page, a hundred saves, cells that print, tabs that come and go, restarts."""

from __future__ import annotations

from benchmarks.channels import kernel_of
from benchmarks.contents import edited, expect
from benchmarks.harness import FRONT_ENDS, Case, Figures, Server, main
from benchmarks.process import MB

SAVES, CELLS, TABS, RESTARTS = 100, 40, 30, 5


def day(server: Server) -> Figures:
    """What one user does, quickly, one thing after the other."""
    expect(server.ask("GET", "/lab"), 200)
    for body in edited(200_000, SAVES):
        expect(server.ask("PUT", "/api/contents/day.ipynb", body), 200, 201)
        expect(server.ask("GET", "/api/contents/day.ipynb?content=1"), 200)
    kernel_id, connect = kernel_of(server)
    tab = connect("")
    for _ in range(CELLS):
        tab.until_idle(tab.execute("flood 500 1000"))
    for _ in range(TABS):
        connect("").close()
    for _ in range(RESTARTS):
        server.json("POST", f"/api/kernels/{kernel_id}/restart")
        tab.close()
        tab = connect("")
    tab.until_idle(tab.execute(""))
    tab.close()
    return {"memory after a day's work (PSS), MB": server.pss() / MB, "a day's work: CPU, s": server.cpu()}


CASES = [Case("day", day, options=FRONT_ENDS, without=("jupyverse",))]

if __name__ == "__main__":
    main(__doc__, CASES)
