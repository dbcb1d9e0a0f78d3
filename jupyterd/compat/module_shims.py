"""Names of the Jupyter Server's modules for classes that were written against them, where it is not installed."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any

PACKAGE = "jupyter_server"
_CONTENTS = f"{PACKAGE}.services.contents"
MODULES: dict[str, str | None] = {
    PACKAGE: None,
    f"{PACKAGE}.services": None,
    _CONTENTS: None,
    f"{_CONTENTS}.manager": "jupyterd.contents.managers.foreign",
    f"{_CONTENTS}.filemanager": "jupyterd.contents.managers.foreign",
    f"{_CONTENTS}.largefilemanager": "jupyterd.contents.managers.foreign",
    f"{_CONTENTS}.checkpoints": "jupyterd.contents.managers.foreign",
    f"{_CONTENTS}.filecheckpoints": "jupyterd.contents.managers.foreign",
    f"{PACKAGE}.gateway": None,
    f"{PACKAGE}.gateway.gateway_client": "jupyterd.gateway.token_renewal",
    f"{PACKAGE}.utils": "jupyterd.utils",
    f"{PACKAGE}.transutils": "jupyterd.transutils",
}
"""Which of our modules has what each of theirs is asked for; None: a package that holds nothing itself."""


class Finder:
    """Finds the stand-ins; last of all finders."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """A stand-in's, or None."""
        return ModuleSpec(name, self, is_package=MODULES[name] is None) if name in MODULES else None  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """An empty module that looks its names up in ours."""
        return _Standin(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Nothing to run."""


class _Standin(ModuleType):
    def __getattr__(self, name: str) -> Any:
        ours = MODULES.get(self.__name__)
        if ours is None or name.startswith("__"):
            raise AttributeError(name)
        return getattr(import_module(ours), name)


@contextmanager
def standins() -> Iterator[None]:
    """While this lasts the stand-ins can be imported, unless the real package can.

    Afterwards they are gone again: nobody shall take jupyterd for an installed Jupyter Server.
    """
    if PACKAGE in sys.modules or find_spec(PACKAGE) is not None:
        yield
        return
    finder = Finder()
    sys.meta_path.append(finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for name in MODULES:
            if isinstance(sys.modules.get(name), _Standin):
                del sys.modules[name]
