"""Program of the keeper: ``keeper <descriptor of its listening socket> <the socket's path>``."""

from __future__ import annotations

import gc
import os
import socket
import sys

from jupyterd.keeper.server import Keeper


def main(arguments: list[str]) -> None:
    """Serve the socket that was inherited."""
    listening = socket.socket(fileno=int(arguments[0]))
    listening.set_inheritable(False)
    os.chdir("/")
    gc.freeze()
    Keeper(listening, arguments[1]).run()


if __name__ == "__main__":
    main(sys.argv[1:])
