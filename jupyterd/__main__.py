"""``jupyterd`` and ``python -m jupyterd``: the server in the foreground, or a command about one that runs."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from jupyterd.commands import COMMANDS, start


def main(argv: Sequence[str] | None = None) -> None:
    """Serve until a signal comes, or do what the first word says: a command does not load the server.

    :param argv: options, without the program's name.
    """
    given = sys.argv[1:] if argv is None else list(argv)
    if given and given[0] in COMMANDS:
        start(given)
        return
    from jupyterd.system.imports.late_tls import postpone_tls
    from jupyterd.system.imports.lean_imports import make_imports_lean

    make_imports_lean()
    postpone_tls()
    from jupyterd.foreground import serve

    serve(given)


if __name__ == "__main__":
    main()
