"""TLS that is loaded when it is first used: 12 MB and 60 ms that a server without certificates does without.

Twisted's reactor and its endpoints import pyOpenSSL, if it is there, whether anybody speaks TLS or not. They also
work where it is missing; so they are imported as if it were, and get stand-ins that import the real ones.
Its HTTP client, which a server below a Hub has, gets such stand-ins when somebody imports it.
What is imported otherwise (``twisted.internet.ssl``) finds pyOpenSSL as always.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.abc import Loader
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from jupyterd.system.imports import listen_variables

FROM_SSL = (
    "Certificate", "CertificateOptions", "KeyPair", "PrivateCertificate", "optionsForClientTLS",
    "trustRootFromCertificates",
)  # fmt: skip
"""What Twisted's endpoints have of ``twisted.internet.ssl``."""
CLIENT = "twisted.web.client"


class Late:
    """Stand-in of a module, or of something in it, that is imported when it is called or asked for an attribute.

    :param module: dotted name.
    :param name: of what is in it; the module itself where it is empty.
    """

    def __init__(self, module: str, name: str = "") -> None:
        self._module, self._name = module, name

    def _load(self) -> Any:
        module = import_module(self._module)
        return getattr(module, self._name) if self._name else module

    def __getattr__(self, name: str) -> Any:
        return getattr(self._load(), name)

    def __call__(self, *args: Any, **options: Any) -> Any:
        """Call the real one."""
        return self._load()(*args, **options)


OF_CLIENT = ("CertificateOptions", "optionsForClientTLS", "platformTrust")
STAND_INS = {
    "OpenSSL": {"SSL": Late("OpenSSL.SSL")},
    "twisted.internet.ssl": {name: Late("twisted.internet.ssl", name) for name in OF_CLIENT},
}
"""What Twisted's HTTP client has of TLS, by module."""


class _NoOpenSSL:
    """Finder of modules that says of pyOpenSSL that it is not installed."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: Any = None) -> None:
        """Find nothing.

        :raises ModuleNotFoundError: it is asked for pyOpenSSL.
        """
        if name == "OpenSSL":
            raise ModuleNotFoundError("pyOpenSSL is imported later", name=name)


class _LateClient:
    """Finder of Twisted's HTTP client, which it finds once: there it is loaded among stand-ins."""

    @classmethod
    def find_spec(cls, name: str, path: Sequence[str] | None = None, target: Any = None) -> ModuleSpec | None:
        if name != CLIENT:
            return None
        finders: list[Any] = sys.meta_path
        finders.remove(cls)
        spec = find_spec(name)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader)
        return spec


class _Loader(Loader):
    """Loads a module with stand-ins for what it imports of TLS.

    :param loader: the module's own.
    """

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        with _stand_ins():
            self._loader.exec_module(module)


@contextmanager
def _stand_ins() -> Iterator[None]:
    """Put modules of stand-ins in the places of those that are not imported yet."""
    if "OpenSSL" in sys.modules:
        yield
        return
    for name, content in STAND_INS.items():
        module = ModuleType(name)
        vars(module).update(content)
        sys.modules[name] = module
    try:
        yield
    finally:
        for name in STAND_INS:
            del sys.modules[name]


def postpone_tls() -> bool:
    """Import Twisted's reactor and endpoints without pyOpenSSL; to be called before anything else imports them.

    Its HTTP client does without too, whenever it is imported.

    Only one thing is lost: ``startTLS`` of a plain TCP transport, which a server of HTTP has no use for.

    :returns: it is postponed; False where the reactor or pyOpenSSL has been imported already.
    """
    if "OpenSSL" in sys.modules or "twisted.internet.tcp" in sys.modules:
        return False
    finder: Any = _NoOpenSSL()
    sys.meta_path.insert(0, finder)
    try:
        with listen_variables.kept():
            from twisted.internet import endpoints, posixbase
    finally:
        sys.meta_path.remove(finder)
    from twisted.internet.interfaces import IReactorSSL
    from zope.interface import classImplements

    reactor_module: Any = posixbase
    reactor_module.tls = Late("twisted.protocols.tls")
    classImplements(posixbase.PosixReactorBase, IReactorSSL)
    of_endpoints: Any = endpoints
    of_endpoints.TLSMemoryBIOFactory = Late("twisted.protocols.tls", "TLSMemoryBIOFactory")
    of_endpoints.SSLError = Exception  # a certificate in a directory that is none is passed over
    for name in FROM_SSL:
        setattr(of_endpoints, name, Late("twisted.internet.ssl", name))
    for name in ("SNIConnectionCreator", "_TLSServerEndpoint", "autoReloadingDirectoryOfPEMs"):
        setattr(of_endpoints, name, Late("twisted.protocols._sni", name.replace("_TLSS", "TLSS")))
    if CLIENT not in sys.modules:
        finders: list[Any] = sys.meta_path
        finders.insert(0, _LateClient)
    return True
