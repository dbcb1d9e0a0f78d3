"""Shims of the extension host: ``psutil.Process()`` is the server, its metrics have theirs, a grammar is read late."""

from __future__ import annotations

import importlib.util
import sys
from importlib import import_module
from threading import RLock
from types import ModuleType
from typing import Any

STOCK_METRICS = (
    "python_",
    "process_",
    "http_request_duration_seconds",
    "terminal_currently_running",
    "kernel_currently_running",
    "jupyter_server",
    "server_info",
    "server_extension",
    "last_activity",
    "server_started",
    "active_duration",
)
"""How the names of metrics begin that the daemon has its own of."""


def psutil_of(daemon: int) -> None:
    """Let ``psutil.Process()`` mean the daemon: extensions sum what it and its children take.

    :param daemon: its process id.
    """
    if importlib.util.find_spec("psutil") is None:
        return
    import psutil

    original = psutil.Process.__init__

    def init(self: Any, pid: int | None = None) -> None:
        original(self, daemon if pid is None else pid)

    psutil.Process.__init__ = init


IRI = "rfc3987_syntax"
"""The package with which jsonschema checks strings of the formats ``iri`` and ``iri-reference``."""


def iri_grammar_late() -> None:
    """Let the parsers of IRIs be built when the first is checked, as few schemas ask for.

    jupyter_events imports jsonschema, which imports that package where it is installed; it builds 40 parsers from a
    grammar: more time than all else takes that the Jupyter Server and a dozen extensions import.
    """
    spec = None if IRI in sys.modules else importlib.util.find_spec(IRI)
    if spec is None:
        return
    late, lock = ModuleType(IRI), RLock()
    late.__spec__, late.__path__ = spec, list(spec.submodule_search_locations or ())

    def whole() -> ModuleType:
        with lock:
            if sys.modules.get(IRI) is late:
                del sys.modules[IRI]
            return import_module(IRI)

    def is_valid_syntax(term: str, value: str) -> bool:
        return bool(whole().is_valid_syntax(term, value))

    vars(late).update(is_valid_syntax=is_valid_syntax, __getattr__=lambda name: getattr(whole(), name))
    sys.modules[IRI] = late


def metrics() -> tuple[bytes, str]:
    """The metrics of extensions, as Prometheus's text; and its media type."""
    from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest

    class Theirs:
        def collect(self) -> Any:
            return (family for family in REGISTRY.collect() if not family.name.startswith(STOCK_METRICS))

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Theirs())
    return generate_latest(registry), CONTENT_TYPE_LATEST
