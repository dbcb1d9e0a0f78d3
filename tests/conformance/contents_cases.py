"""Requests of the contents API, checkpoints, /files, /view and what belongs to them."""

from __future__ import annotations

from typing import Any

from tests.conformance.asking import Case, url
from tests.conformance.servers import FILES

API = "/api/contents"
EVERYTHING = [
    *FILES,
    "",
    "dir",
    "dir/",
    "dir/nested",
    "empty dir",
    "folder.ipynb",
    ".hidden",
    "__pycache__",
    "link.txt",
    "link dir",
    "link dir/inner.txt",
    "dangling.txt",
    "outside.txt",
    "loop.txt",
    "fifo",
    "nothing.txt",
    "nothing.ipynb",
    "nothing/nothing.txt",
    "plain.txt/below.txt",
    "plain.txt/",
    "x" * 300 + ".txt",
    "~",
    " ",
    "trust",
]
QUERIES = [
    "content=0",
    "type=file",
    "type=directory",
    "type=notebook",
    "type=nonsense",
    "type=",
    "format=text",
    "format=base64",
    "type=file&format=text",
    "type=file&format=base64",
    "type=notebook&format=text",
    "type=directory&format=text",
    "format=json",
    "format=nonsense",
    "content=2",
    "content=",
    "content=true",
    "hash=1",
    "hash=1&content=0",
    "hash=2",
    "hash=1&type=directory",
    "type=file&type=directory",
    "contentProviderId=drive",
]
QUERIED = ["", "dir", "plain.txt", "binary.bin", "nb.ipynb", "latin1.txt", "nothing.txt", "broken.ipynb", "empty.txt"]
TRAVERSAL = [
    "../x",
    "%2e%2e/x",
    "%2e%2e%2fetc/passwd",
    "dir/../plain.txt",
    "dir/%2e%2e/plain.txt",
    "dir/%2E%2E/%2e%2e/plain.txt",
    "%252e%252e/x",
    "..%5cx",
    "....//x",
    "./plain.txt",
    "dir/./inner.txt",
    "/etc/passwd",
    "%2fetc%2fpasswd",
    "//plain.txt",
    "dir//inner.txt",
    "dir%2finner.txt",
    "C%3A%5Cx",
]


def of(method: str, path: str, body: Any = None, **more: Any) -> Case:
    return Case(method, f"{API}/{url(path)}" if path else API, body, **more)


def reading() -> list[Case]:
    cases = [of("GET", path) for path in EVERYTHING]
    cases += [
        Case("GET", f"{API}/{url(path)}?{query}".replace(f"{API}/?", f"{API}?"))
        for path in QUERIED
        for query in QUERIES
    ]
    cases += [Case("GET", f"{API}/{path}", only="status") for path in TRAVERSAL]
    cases += [
        Case("GET", f"{API}/{path}", only="status")
        for path in ("%00", "a%00b", "%ff", "%zz", "%", "a%0ab", "a%0d%0aX: y".replace(" ", "%20"))
    ]
    cases += [of("HEAD", path) for path in ("", "plain.txt", "nothing.txt")]
    cases += [Case(method, f"{API}{path}") for method in ("OPTIONS", "TRACE", "BREW") for path in ("", "/plain.txt")]
    cases += [Case("GET", f"{API}/"), Case("GET", f"{API}//"), Case("GET", "//api/contents", only="status")]
    return cases


def files() -> list[Case]:
    cases = [Case("GET", f"/files/{url(path)}") for path in EVERYTHING]
    cases += [Case("GET", f"/files/{path}", only="status") for path in TRAVERSAL]
    cases += [
        Case("HEAD", f"/files/{url(path)}") for path in ("plain.txt", "binary.bin", "nb.ipynb", "nothing.txt", "dir")
    ]
    cases += [
        Case("GET", f"/files/{url(path)}?download=1")
        for path in (
            "plain.txt",
            "nb.ipynb",
            "\u00fcn\u00ef \u4e2d.txt",
            "sp ace.txt",
            "quo\"te'.txt",
            "new\nline.txt",
            "semi;.txt",
            "dir",
        )
    ]
    cases += [
        Case("GET", "/files/plain.txt?download"),
        Case("GET", "/files/plain.txt?download=0"),
        Case("GET", "/files/"),
        Case("GET", "/files"),
    ]
    ranges = [
        "bytes=0-2",
        "bytes=2-",
        "bytes=-3",
        "bytes=5-100",
        "bytes=100-",
        "bytes=3-1",
        "bytes=0-1,3-4",
        "nonsense",
        "bytes=",
        "lines=0-1",
        "bytes=-0",
        "bytes=0-0",
    ]
    cases += [Case("GET", "/files/binary.bin", headers=(("Range", value),)) for value in ranges]
    cases += [
        Case("GET", "/files/plain.txt", headers=(("If-Modified-Since", when),))
        for when in (
            "Tue, 14 Nov 2023 22:13:20 GMT",
            "Tue, 14 Nov 2023 22:13:19 GMT",
            "Fri, 01 Jan 2038 00:00:00 GMT",
            "nonsense",
        )
    ]
    cases += [Case(method, "/files/plain.txt", {}) for method in ("POST", "DELETE", "PATCH", "OPTIONS")]
    cases += [
        Case("GET", f"/view/{url(path)}")
        for path in ("page.html", "plain.txt", "nothing.html", "dir", "", "sp ace.txt", ".hidden.txt", "nb.ipynb")
    ]
    cases += [Case(method, "/view/page.html", {}) for method in ("POST", "HEAD")]
    return cases
