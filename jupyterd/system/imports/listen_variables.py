"""Variables of the service manager's sockets, which the import of Twisted's endpoints takes out of the environment."""

from __future__ import annotations

import os
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager


@contextmanager
def kept(environment: MutableMapping[str, str] = os.environ) -> Iterator[None]:
    """Have them there afterwards, whatever is imported meanwhile; the endpoints are imported once and not again."""
    found = {name: value for name, value in environment.items() if name.startswith("LISTEN_")}
    try:
        yield
    finally:
        environment.update(found)
