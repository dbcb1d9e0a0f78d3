"""Next URL of a login: inside this server, or at an origin that the operator listed (pure)."""

from __future__ import annotations

import re
from urllib.parse import quote, urlsplit

from jupyterd.auth.http.origin_rules import OriginRules

_IGNORED_BY_BROWSERS = re.compile(r"[\t\n\r]")
_SAFE = "/?#&=:;,+@!$'()*[]%~-._|"


def safe_next(url: str, base_url: str, origin_rules: OriginRules) -> str | None:
    """``url`` in a form that is safe in a Location header; None when it leads away from here.

    Read as browsers read it: control characters vanish, a backslash is a slash, and two slashes at the start,
    or any number behind a scheme, begin a host.

    :param base_url: what our own paths start with, with a slash at both ends.
    """
    seen = _IGNORED_BY_BROWSERS.sub("", url.strip("".join(map(chr, range(0x21)))))
    if any(ord(character) < 0x20 or ord(character) == 0x7F for character in seen):
        return None
    seen = seen.replace("\\", "/")
    if seen.startswith("/") and not seen.startswith("//"):
        return _escaped(seen) if _below(seen, base_url) else None
    return _listed(seen, origin_rules)


def _below(path: str, base_url: str) -> bool:
    """Whether a path is under ``base_url`` as it stands, without steps up or in place, which not all read alike."""
    plain = re.split(r"[?#]", path, maxsplit=1)[0]
    segments = plain.lower().replace("%2e", ".").split("/")
    return "." not in segments and ".." not in segments and (plain + "/").startswith(base_url)


def _listed(url: str, origin_rules: OriginRules) -> str | None:
    match = re.fullmatch(r"(https?)://+([^/?#]+)(.*)", url, re.IGNORECASE | re.DOTALL)
    if match is None:
        return None
    scheme, authority, rest = match[1].lower(), match[2].lower(), match[3]
    try:
        plain = urlsplit(f"{scheme}://{authority}").netloc == authority and "@" not in authority
    except ValueError:
        return None
    if not plain or origin_rules.allow_origin == "*" or not origin_rules.origin_listed(f"{scheme}://{authority}"):
        return None
    return _escaped(f"{scheme}://{authority}{rest}")


def _escaped(url: str) -> str:
    return quote(url, safe=_SAFE)
