"""Lean imports: what libraries load for features that nothing here uses is kept out of memory.

- jsonschema looks for ``rfc3987_syntax`` while it is imported, to check strings of the format ``iri``. Where that
  package is installed it builds a parser from a grammar: 0.85 s of CPU time and 17 MB for every process that imports
  nbformat or jupyter_events, whose schemas have no such format. ``isoduration`` (with arrow and dateutil: 2.5 MB) is
  for the format ``duration``. jsonschema does without either where it is absent.
- Autobahn's websockets come with WAMP, which loads cryptography and argon2, with pyOpenSSL, to tell errors of TLS by
  their class, and with click, to colour its log: 7 MB and 0.1 s, in the reactor's thread, for the first websocket of a
  server. WAMP is loaded when somebody asks for it, pyOpenSSL where there is TLS.
- Klein comes with forms, sessions and templates, werkzeug with a client for tests, asyncio with TLS (1.5 MB),
  Twisted with a debugger and an HTTP client's cookies. Each is loaded when somebody asks for it: 3 MB in all.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from threading import RLock
from types import ModuleType
from typing import Any

LEFT_OUT = {
    "jsonschema._format": frozenset({"rfc3987_syntax", "isoduration"}),
    "autobahn.util": frozenset({"OpenSSL", "click"}),
    "autobahn.twisted.util": frozenset({"OpenSSL"}),
}
"""By the module that asks: packages that are not installed, for it and while it is imported, unless they are loaded."""

LATE = frozenset({"asyncio.sslproto", "autobahn.twisted", "http.cookiejar", "klein", "pdb", "ssl", "werkzeug"})
"""Modules that are imported and not used; packages of which modules are used, and not what their ``__init__`` loads."""


class _LateModule(Loader):
    """Runs a module, or a package's ``__init__``, when it is asked for a name that only that can give it."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader
        self._lock = RLock()
        self._runs = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)  # who looks for its source or data

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        vars(module)["__getattr__"] = partial(self._load, module)

    def _load(self, module: ModuleType, name: str) -> Any:
        """A name of the module. Other threads that ask for one wait until it has run."""
        names = vars(module)
        if self._has(module, name):
            return import_module(f"{module.__name__}.{name}")
        with self._lock:
            if "__getattr__" in names and not self._runs:
                self._run(module)
        if name in names:
            return names[name]
        if callable(own := names.get("__getattr__")) and not self._runs:
            return own(name)
        raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")

    @staticmethod
    def _has(package: ModuleType, name: str) -> bool:
        """Whether a package has a module of that name."""
        path = vars(package).get("__path__")
        return path is not None and PathFinder.find_spec(f"{package.__name__}.{name}", path) is not None

    def _run(self, module: ModuleType) -> None:
        names = vars(module)
        late = names["__getattr__"]
        self._runs = True
        try:
            self._loader.exec_module(module)
        finally:
            self._runs = False
        if names.get("__getattr__") is late:  # else the module has one itself
            del names["__getattr__"]
        if module.__spec__ is not None:
            module.__spec__.loader = module.__loader__ = self._loader


class _Lean(MetaPathFinder):
    """Finds nothing where less is better."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The module where it is loaded late; None leaves it to others.

        :raises ModuleNotFoundError: it is left out.
        """
        if fullname in LATE:
            spec = PathFinder.find_spec(fullname, path, target)
            if spec is not None and spec.loader is not None:
                spec.loader = _LateModule(spec.loader)
            return spec
        if any(fullname in packages and _being_imported(asker) for asker, packages in LEFT_OUT.items()):
            raise ModuleNotFoundError(f"{fullname} is left out", name=fullname)
        return None


def _being_imported(name: str) -> bool:
    spec = getattr(sys.modules.get(name), "__spec__", None)
    return bool(getattr(spec, "_initializing", False))


def make_imports_lean() -> None:
    """Let libraries be imported without what is not used; called once, at the start of a process."""
    if not any(isinstance(finder, _Lean) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Lean())
