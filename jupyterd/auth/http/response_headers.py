"""Headers that every response carries: what browsers are to be strict about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from twisted.web.http_headers import Headers

from jupyterd.auth.http.origin_rules import OriginRules

if TYPE_CHECKING:
    from jupyterd.web.server.request import Request

Lines = tuple[tuple[bytes, bytes], ...]

CSP = "content-security-policy"
SANDBOX = "sandbox allow-scripts"
PREFLIGHT_HEADERS = "accept, content-type, authorization, x-xsrftoken"
PREFLIGHT_METHODS = "GET, PUT, POST, PATCH, DELETE, OPTIONS"


class ResponseHeaders:
    """Made once from the settings; a response then costs one look-up.

    :param base_url: what the address for CSP reports begins with.
    :param configured: the operator's own headers (``tornado_settings["headers"]``); they win over ours.
    :param report_uri: where browsers report violations; None for our own.
    :param frames: which pages may frame ours; users' files, which are in a sandbox, are framed by our own all the same.
    """

    def __init__(
        self,
        base_url: str = "/",
        configured: Mapping[str, str] | None = None,
        report_uri: str | None = None,
        frames: str = "'self'",
    ) -> None:
        own = {name.lower(): str(value) for name, value in (configured or {}).items()}
        report = report_uri or f"{base_url}api/security/csp-report"
        given = own.pop(CSP, None)
        policy = given or f"frame-ancestors {frames}; report-uri {report}"
        of_files = given or f"frame-ancestors 'self'; report-uri {report}"
        common = {"x-content-type-options": "nosniff", **own}
        self._page = _lines({**common, "referrer-policy": own.get("referrer-policy", "same-origin"), CSP: policy})
        self._api = _lines({**common, CSP: f"{policy}; default-src 'none'"})
        self._untrusted = _lines({**common, CSP: f"{of_files}; {SANDBOX}"})
        self._origin_configured = "access-control-allow-origin" in own
        self.preflight: tuple[tuple[str, str], ...] = (
            ("Content-Type", "application/json"),
            ("Access-Control-Allow-Headers", own.get("access-control-allow-headers", PREFLIGHT_HEADERS)),
            ("Access-Control-Allow-Methods", PREFLIGHT_METHODS),
        )

    def of(self, request: Request) -> Lines:
        """The headers of the response to ``request``."""
        mount = request.mount
        if mount is not None and mount.untrusted:
            lines = self._untrusted
        else:
            lines = self._page if request.wants_page else self._api
        return lines + request.cors if request.cors else lines

    def cors(self, origin_rules: OriginRules, origin: str | None, by_token: bool) -> Lines:
        """Headers that tell a browser which foreign pages may read the response."""
        headers: dict[str, str] = {}
        if not self._origin_configured or origin_rules.allow_origin or origin_rules.allow_origin_pat:
            allowed = origin_rules.cors_origin(origin, by_token)
            if allowed:
                headers["access-control-allow-origin"] = allowed
                if allowed != "*":
                    headers["vary"] = "Origin"
        if origin_rules.allow_credentials:
            headers["access-control-allow-credentials"] = "true"
        return _lines(headers)


def _lines(headers: Mapping[str, str]) -> Lines:
    canonical = Headers({name.encode("ascii"): [_clean(value)] for name, value in headers.items()})
    return tuple((name, values[0]) for name, values in canonical.getAllRawHeaders())


def _clean(value: str) -> bytes:
    return " ".join(value.split()).encode("latin-1", "replace")
