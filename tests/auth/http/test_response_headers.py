"""Headers of answers: policies, CORS, and the operator's own."""

from __future__ import annotations

import re

from jupyterd.auth.http.origin_rules import OriginRules
from tests.auth.guarded_requests import EVIL
from tests.auth.serving import bearer, guarded_site


def test_cve_2018_21030_files_are_sandboxed() -> None:
    site, _ = guarded_site()
    answer = site.request("GET", "/files/a.svg", headers=bearer())
    assert answer.header("content-security-policy") == (
        "frame-ancestors 'self'; report-uri /api/security/csp-report; sandbox allow-scripts"
    )
    assert answer.header("x-content-type-options") == "nosniff"


def test_cve_2019_9644_errors_can_not_be_included() -> None:
    site, _ = guarded_site()
    answer = site.request("GET", "/api/things")
    assert answer.header("content-type") == "application/json"
    assert answer.header("content-security-policy").endswith("; default-src 'none'")  # type: ignore[union-attr]
    assert answer.header("x-content-type-options") == "nosniff"


def test_operators_headers_win() -> None:
    headers = {
        "Content-Security-Policy": "default-src 'self'",
        "X-Frame-Options": "DENY",
        "X-Content-Type-Options": "x",
    }
    site, _ = guarded_site(headers=headers)
    page = site.request("GET", "/page", headers=bearer())
    assert page.headers["content-security-policy"] == ["default-src 'self'"]
    assert page.header("x-frame-options") == "DENY"
    assert page.headers["x-content-type-options"] == ["x"]
    api = site.request("GET", "/api/things", headers=bearer())
    assert api.header("content-security-policy") == "default-src 'self'; default-src 'none'"


def test_policy_knows_the_base_url() -> None:
    site, _ = guarded_site(base_url="/x/")
    assert "report-uri /x/api/security/csp-report" in str(
        site.request("GET", "/x/api").header("content-security-policy")
    )


def test_preflight() -> None:
    site, _ = guarded_site()
    answer = site.request("OPTIONS", "/api/things", headers={**EVIL, "Access-Control-Request-Headers": "authorization"})
    assert (answer.status, answer.body) == (200, b"")
    assert answer.header("access-control-allow-methods") == "GET, PUT, POST, PATCH, DELETE, OPTIONS"
    assert answer.header("access-control-allow-headers") == "accept, content-type, authorization, x-xsrftoken"
    assert "access-control-allow-origin" not in answer.headers
    site, _ = guarded_site(origin_rules=OriginRules(allow_origin="http://evil.example"))
    assert site.request("OPTIONS", "/api/things", headers=EVIL).header("access-control-allow-origin") == EVIL["Origin"]


def test_cors_headers() -> None:
    def allowed(origin_rules: OriginRules, origin: str, **headers: str) -> tuple[str | None, str | None]:
        site, _ = guarded_site(origin_rules=origin_rules)
        answer = site.request("GET", "/api/things", headers={"Origin": origin, **headers})
        return answer.header("access-control-allow-origin"), answer.header("access-control-allow-credentials")

    pattern = OriginRules(allow_origin_pat=re.compile(r"https://.*\.example\.com"))
    assert allowed(OriginRules(), "http://evil") == (None, None)
    assert allowed(OriginRules(), "http://evil", **bearer()) == ("http://evil", None)
    assert allowed(pattern, "https://a.example.com") == ("https://a.example.com", None)
    assert allowed(pattern, "https://a.example.com.evil.org", **bearer()) == (None, None)
    assert allowed(OriginRules(allow_origin="*"), "http://evil") == ("*", None)
    listed = OriginRules(allow_origin="https://a", allow_credentials=True)
    assert allowed(listed, "http://evil") == ("https://a", "true")
