"""Lean imports: a grammar that a library loads for a check that nothing here makes is kept out of memory.

jsonschema looks for ``rfc3987_syntax`` while it is imported, to check strings of the format ``iri``. Where that package
is installed it builds a parser from a grammar: 0.85 s of CPU time and 17 MB for every process that imports nbformat or
jupyter_events, whose schemas have no such format. jsonschema does without it where it is absent.

``isoduration`` (with arrow and dateutil: 2.5 MB) is left out too: it is for the format ``duration`` of drafts that
neither nbformat nor jupyter_events uses.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

LEFT_OUT = frozenset({"rfc3987_syntax", "isoduration"})
ASKER = "jsonschema._format"


class _Without(MetaPathFinder):
    """Tells jsonschema, and nobody else, that the grammar is not installed."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname in LEFT_OUT and _being_imported(ASKER):
            raise ModuleNotFoundError(f"{fullname} is left out", name=fullname)
        return None


def _being_imported(name: str) -> bool:
    spec = getattr(sys.modules.get(name), "__spec__", None)
    return bool(getattr(spec, "_initializing", False))


def without_iri_grammar() -> None:
    """Let jsonschema be imported without the grammar; called once, at the start of a process."""
    if not any(isinstance(finder, _Without) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Without())
