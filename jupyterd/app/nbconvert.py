"""Mounts of conversions."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from jupyterd.system.threads import InThread
from jupyterd.web.root import Root

if TYPE_CHECKING:
    from jupyterd.contents.service import Contents
    from jupyterd.settings.load import Settings


def mount(root: Root, settings: Settings, reactor: Any, in_thread: InThread, contents: Callable[[], Contents]) -> None:
    """``/api/nbconvert`` and ``/nbconvert``, which serves what users wrote."""
    server = settings.server

    def resource() -> Any:
        from jupyterd.nbconvert.converter import Converter
        from jupyterd.nbconvert.formats import Formats
        from jupyterd.nbconvert.resource import NbconvertResource

        policy = None
        if not server.nbconvert_csp_sandbox:
            policy = f"frame-ancestors 'self'; report-uri {server.base_url}api/security/csp-report"
        formats, converter = Formats(reactor, in_thread), Converter(reactor, in_thread, settings.config)
        return NbconvertResource(formats, converter, contents, policy).app.resource()

    root.mount("/api/nbconvert", resource, auth="nbconvert", exact=True)
    root.mount("/nbconvert", resource, auth="nbconvert", page=True, untrusted=True)
