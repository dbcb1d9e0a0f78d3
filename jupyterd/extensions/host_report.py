"""Report of the extension host: what it has told of itself and of each extension."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Extension:
    """What is known of one extension in the host.

    :ivar error: why it does not work; empty where it does.
    """

    name: str
    version: str = ""
    seconds: float = 0.0
    memory: int = 0
    error: str = ""
    routes: int = 0


@dataclass
class Report:
    """What the host has told of itself."""

    page_config: dict[str, Any] = field(default_factory=dict)
    static: list[str] = field(default_factory=list)
    contents: str = ""
    extensions: dict[str, Extension] = field(default_factory=dict)

    def renewed(self, message: Mapping[str, Any]) -> Report:
        """What a host says that is ready; errors that it told of before stay where it tells of no other.

        :raises KeyError, TypeError, ValueError: it is no such message.
        """
        extensions = {told["name"]: Extension(**told) for told in message["extensions"]}
        for name, before in self.extensions.items():
            if name in extensions:
                extensions[name].error = extensions[name].error or before.error
        return Report(
            page_config=dict(message["page_config"]),
            static=[str(path) for path in message["static"]],
            contents=str(message["contents"] or ""),
            extensions=extensions,
        )

    def failed(self, name: str, error: str) -> None:
        """An extension does not work."""
        self.extensions.setdefault(name, Extension(name)).error = error

    def count_routes(self, extensions: Iterable[str]) -> None:
        """Which extensions the host's routes are of, an entry a route."""
        routes = Counter(extensions)
        for extension in self.extensions.values():
            extension.routes = routes[extension.name]
