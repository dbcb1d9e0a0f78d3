"""``jupyterd-singleuser``: what the spawner of a JupyterHub starts; ``jupyterd`` that never runs without a Hub."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from jupyterd.hub.environment import MARK, missing

ABOUT = frozenset({"--help", "-h", "--help-all", "--version", "-V", "--generate-config", "--show-config"})
"""What tells of the server, and needs no Hub."""


def main(argv: Sequence[str] | None = None) -> None:
    """Serve one user of a Hub until a signal comes.

    :param argv: options, without the program's name.
    :raises SystemExit: status 2 after one line, where no Hub has started the process.
    """
    given = list(sys.argv[1:] if argv is None else argv)
    lacking = missing(os.environ)
    if lacking and ABOUT.isdisjoint(given):
        sys.stderr.write(
            "jupyterd-singleuser: is started by a JupyterHub, with c.Spawner.cmd = ['jupyterd-singleuser'];"
            f" {', '.join(lacking)} is not in the environment. Without a Hub use jupyterd.\n"
        )
        raise SystemExit(2)
    os.environ.pop(MARK, None)  # whoever started it, it is to be a server of its own
    from jupyterd.__main__ import main as serve

    serve(given)


if __name__ == "__main__":
    main()
