"""Requests of the contents API, checkpoints, /files, /view and what belongs to them."""

from __future__ import annotations

import base64
from typing import Any

from tests.conformance.asking import Case, Story, url
from tests.conformance.servers import FILES, NOTEBOOK, OLD_NOTEBOOK

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


def _of(method: str, path: str, body: Any = None, **more: Any) -> Case:
    return Case(method, f"{API}/{url(path)}" if path else API, body, **more)


def reading() -> list[Case]:
    cases = [_of("GET", path) for path in EVERYTHING]
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
    cases += [_of("HEAD", path) for path in ("", "plain.txt", "nothing.txt")]
    cases += [Case(method, f"{API}{path}") for method in ("OPTIONS", "TRACE", "BREW") for path in ("", "/plain.txt")]
    cases += [Case("GET", f"{API}/"), Case("GET", f"{API}//"), Case("GET", "//api/contents", only="status")]
    return cases


BODIES: list[Any] = [
    None,
    b"",
    b"{not json",
    b"\xff\xfe",
    b"[]",
    b"[1]",
    b"7",
    b'"text"',
    b"null",
    b"true",
    b"{}",
    b"0",
    b'""',
]
MODELS: list[dict[str, Any]] = [
    {"type": "file", "format": "text", "content": "new\n"},
    {"type": "file", "format": "text", "content": ""},
    {"type": "file", "format": "text", "content": "caf\u00e9 \u4e2d \U0001f600"},
    {"type": "file", "format": "text", "content": "\ud800"},
    {"type": "file", "format": "text", "content": "a\r\nb\r\n"},
    {"type": "file", "format": "text", "content": 7},
    {"type": "file", "format": "text", "content": None},
    {"type": "file", "format": "text", "content": []},
    {"type": "file", "format": "text"},
    {"type": "file", "format": "base64", "content": base64.b64encode(bytes(range(256))).decode()},
    {"type": "file", "format": "base64", "content": "no base64!"},
    {"type": "file", "format": "base64", "content": "YQ"},
    {"type": "file", "format": "base64", "content": "\u00e9"},
    {"type": "file", "format": "base64", "content": 7},
    {"type": "file", "format": "json", "content": "{}"},
    {"type": "file", "format": "nonsense", "content": "x"},
    {"type": "file", "format": None, "content": "x"},
    {"type": "file", "content": "x"},
    {"type": "nonsense", "format": "text", "content": "x"},
    {"type": None, "format": "text", "content": "x"},
    {"type": "", "format": "text", "content": "x"},
    {"type": 7, "format": "text", "content": "x"},
    {"format": "text", "content": "x"},
    {"content": "x"},
    {"type": "directory"},
    {"type": "directory", "format": "json", "content": []},
    {"type": "directory", "content": None},
    {"type": "notebook"},
    {"type": "notebook", "content": NOTEBOOK},
    {"type": "notebook", "format": "json", "content": NOTEBOOK},
    {"type": "notebook", "format": "text", "content": NOTEBOOK},
    {"type": "notebook", "format": "json", "content": OLD_NOTEBOOK},
    {"type": "notebook", "content": {}},
    {"type": "notebook", "content": {"cells": 1}},
    {"type": "notebook", "content": {**NOTEBOOK, "cells": [{"cell_type": "nonsense"}]}},
    {"type": "notebook", "content": {**NOTEBOOK, "cells": [7]}},
    {"type": "notebook", "content": {**NOTEBOOK, "nbformat": 3}},
    {"type": "notebook", "content": {**NOTEBOOK, "nbformat": 5}},
    {"type": "notebook", "content": {**NOTEBOOK, "nbformat": "4"}},
    {"type": "notebook", "content": {**NOTEBOOK, "nbformat_minor": 99}},
    {"type": "notebook", "content": {**NOTEBOOK, "extra": 1}},
    {"type": "notebook", "content": []},
    {"type": "notebook", "content": "text"},
    {"type": "notebook", "content": None},
    {"copy_from": "plain.txt"},
    {"copy_from": ""},
    {"copy_from": 7},
    {"type": "file", "format": "text", "content": "x", "path": "elsewhere.txt"},
    {"type": "file", "format": "text", "content": "x", "path": ".hidden.txt"},
    {"type": "file", "format": "text", "content": "x", "path": 7},
    {"type": "file", "format": "text", "content": "x", "name": "other.txt"},
    {"type": "file", "format": "text", "content": "x", "unknown": True},
    {"type": "file", "format": "text", "content": "x", "chunk": 0},
    {"type": "file", "format": "text", "content": "x", "chunk": -1},
    {"type": "file", "format": "text", "content": "x", "chunk": 5},
    {"type": "file", "format": "text", "content": "x", "chunk": "1"},
    {"type": "file", "format": "text", "content": "x", "chunk": 1.5},
    {"type": "notebook", "content": NOTEBOOK, "chunk": 1},
    {"type": "directory", "chunk": 1},
]
POSTS: list[Any] = [
    {},
    {"type": "file"},
    {"type": "file", "ext": ".py"},
    {"type": "file", "ext": "py"},
    {"type": "file", "ext": ""},
    {"type": "file", "ext": None},
    {"type": "file", "ext": 7},
    {"type": "file", "ext": "/../x"},
    {"type": "notebook"},
    {"type": "notebook", "ext": ".txt"},
    {"ext": ".ipynb"},
    {"type": "directory"},
    {"type": "nonsense"},
    {"type": None},
    {"type": 7},
    {"copy_from": "/plain.txt"},
    {"copy_from": "plain.txt"},
    {"copy_from": "archive.tar.gz"},
    {"copy_from": "nb.ipynb"},
    {"copy_from": "nb-Copy1.ipynb"},
    {"copy_from": "sp ace.txt"},
    {"copy_from": "per%cent.txt"},
    {"copy_from": "per%20cent.txt"},
    {"copy_from": "broken.ipynb"},
    {"copy_from": "nothing.txt"},
    {"copy_from": ".hidden.txt"},
    {"copy_from": "../x"},
    {"copy_from": "dir"},
    {"copy_from": "empty dir"},
    {"copy_from": ""},
    {"copy_from": 7},
    {"copy_from": ["plain.txt"]},
    {"copy_from": "fifo"},
    {"copy_from": "link.txt"},
    {"copy_from": "dir/inner.txt", "type": "directory"},
]


def writing() -> list[Story]:
    stories = []
    for index, model in enumerate(MODELS):
        for name in (f"put{index}.txt", f"put{index}.ipynb"):
            cases = (_of("PUT", name, model), _of("GET", name), _of("PUT", name, model), _of("DELETE", name))
            stories.append(Story(f"PUT {name} {model}", cases))
    for index, body in enumerate(BODIES):
        here = f"here{index}"
        stories.append(
            Story(
                f"bodies {body!r}",
                (
                    _of("PUT", here, {"type": "directory"}),
                    _of("PUT", f"{here}/x.txt", body),
                    _of("POST", here, body),
                    _of("PATCH", f"{here}/x.txt", body),
                    _of("GET", here),
                ),
            )
        )
    for index, body in enumerate(POSTS):
        here = f"into{index}"
        asked = (_of("POST", here, body), _of("POST", here, body), _of("POST", here, body), _of("GET", here))
        stories.append(Story(f"POST {body}", (_of("PUT", here, {"type": "directory"}), *asked)))
    for name in (
        "a b.txt",
        "per%cent.ipynb",
        "\u00fc.ipynb",
        "new\nline.txt",
        "a#b?c&d;e.txt",
        "quo\"te'.txt",
        "-.txt",
        "checkpoints2",
        "back\\slash.txt",
        "tab\t.txt",
        "\u202e.txt",
    ):
        model = {"type": "notebook", "content": NOTEBOOK} if name.endswith("ipynb") else MODELS[0]
        stories.append(
            Story(
                f"odd name {name!r}",
                (
                    _of("PUT", f"odd/{name}", model),
                    _of("PUT", "odd", {"type": "directory"}),
                    _of("PUT", f"odd/{name}", model),
                    _of("GET", f"odd/{name}"),
                    _of("POST", f"odd/{name}/checkpoints"),
                    _of("GET", f"odd/{name}/checkpoints"),
                    _of("POST", "odd", {"copy_from": f"odd/{name}"}),
                    _of("PATCH", f"odd/{name}", {"path": f"odd/moved {name}"}),
                    _of("GET", "odd"),
                    _of("GET", f"odd/{name}"),
                    Case("GET", f"/files/{url('odd/moved ' + name)}"),
                    _of("DELETE", f"odd/moved {name}"),
                ),
            )
        )
    stories += [
        Story(
            "PUT where it can not be",
            tuple(
                _of("PUT", path, MODELS[0])
                for path in (
                    "no/such/directory.txt",
                    "dir",
                    "",
                    "plain.txt/below",
                    ".hidden2.txt",
                    "dir/.hidden2.txt",
                    ".hidden/x.txt",
                    "loop.txt",
                    "y" * 300,
                    "folder.ipynb",
                )
            ),
            to_the_end=True,
        ),
        Story(
            "PUT a directory where something is",
            (
                _of("PUT", "plain.txt", {"type": "directory"}),
                _of("PUT", "dir", {"type": "directory"}),
                _of("PUT", "nb.ipynb", {"type": "directory"}),
            ),
        ),
        Story(
            "DELETE",
            tuple(
                _of("DELETE", path)
                for path in (
                    "nothing.txt",
                    "",
                    "empty dir",
                    "full",
                    "full/a.txt",
                    "full/b",
                    ".hidden.txt",
                    "dangling.txt",
                    "link.txt",
                    "link dir",
                    "fifo",
                    "x" * 300,
                    "plain.txt/below",
                )
            )
            + (Case("DELETE", f"{API}/"), Case("DELETE", f"{API}/../x", only="status"), _of("GET", "")),
        ),
        Story(
            "PATCH",
            (
                _of("PUT", "a.txt", MODELS[0]),
                _of("PUT", "b.txt", MODELS[0]),
                *(
                    _of("PATCH", "a.txt", body)
                    for body in (
                        {"path": "b.txt"},
                        {"path": "a.txt"},
                        {"path": ""},
                        {"path": "/"},
                        {"path": None},
                        {"path": 7},
                        {"path": ["b"]},
                        {},
                        {"path": "no/such/x.txt"},
                        {"path": "dir"},
                        {"path": "dir/a.txt"},
                    )
                ),
                _of("PATCH", "dir/a.txt", {"path": "/a2.txt"}),
                _of("PATCH", "a2.txt", {"path": "../out.txt"}),
                _of("PATCH", "a2.txt", {"path": ".hid.txt"}),
                _of("PATCH", "a2.txt", {"path": "A2.txt"}),
                _of("PATCH", "A2.txt", {"path": "z" * 300}),
                _of("PATCH", "A2.txt", {"path": "a\0b"}),
                _of("PATCH", "nothing.txt", {"path": "x.txt"}),
                _of("PATCH", ".hidden.txt", {"path": "x.txt"}),
                _of("PATCH", "", {"path": "x"}),
                _of("PATCH", "A2.txt", {"type": "file"}),
                _of("PATCH", "A2.txt", {"path": "a2.ipynb"}),
                _of("GET", "a2.ipynb"),
                _of("POST", "", {"type": "directory"}),
                _of("PATCH", "Untitled Folder", {"path": "Renamed"}),
                _of("PATCH", "Renamed", {"path": "Renamed/Inside"}),
                _of("PATCH", "Renamed", {"path": "dir/Renamed"}),
                _of("GET", "dir"),
            ),
        ),
        Story(
            "checkpoints",
            (
                _of("PUT", "cp.txt", MODELS[0]),
                _of("GET", "cp.txt/checkpoints"),
                _of("POST", "cp.txt/checkpoints", keep=(("cp", "id"),)),
                _of("GET", "cp.txt/checkpoints"),
                _of("PUT", "cp.txt", MODELS[2]),
                _of("POST", "cp.txt/checkpoints/checkpoint"),
                _of("GET", "cp.txt"),
                _of("POST", "cp.txt/checkpoints", {"x": 1}),
                _of("POST", "cp.txt/checkpoints", b"{not"),
                _of("POST", "cp.txt/checkpoints/nothing"),
                _of("DELETE", "cp.txt/checkpoints/nothing"),
                _of("PATCH", "cp.txt", {"path": "cp2.txt"}),
                _of("GET", "cp2.txt/checkpoints"),
                _of("GET", "cp.txt/checkpoints"),
                _of("DELETE", "cp2.txt/checkpoints/checkpoint"),
                _of("DELETE", "cp2.txt/checkpoints/checkpoint"),
                _of("GET", "cp2.txt/checkpoints"),
                _of("POST", "cp2.txt/checkpoints/checkpoint"),
                _of("PUT", "cp2.txt/checkpoints", {}),
                _of("PATCH", "cp2.txt/checkpoints", {}),
                _of("DELETE", "cp2.txt/checkpoints"),
                _of("GET", "cp2.txt/checkpoints/checkpoint"),
                _of("GET", "cp2.txt/checkpoints/"),
                _of("POST", "cp2.txt/checkpoints/"),
                *(
                    _of(method, f"{path}/checkpoints")
                    for path in (
                        "nothing.txt",
                        "nothing.ipynb",
                        "dir",
                        "",
                        ".hidden.txt",
                        "fifo",
                        "no/such.txt",
                        "binary.bin",
                        "broken.ipynb",
                    )
                    for method in ("GET", "POST")
                ),
                _of("POST", "nb.ipynb/checkpoints"),
                _of("POST", "nb.ipynb/checkpoints/checkpoint"),
                _of("GET", "nb.ipynb"),
                _of("DELETE", "nb.ipynb/checkpoints/checkpoint"),
                _of("POST", "cp2.txt/checkpoints/a%20b"),
                Case("POST", f"{API}/cp2.txt/checkpoints/a.b", only="status"),
            ),
        ),
        Story(
            "trust",
            (
                _of("POST", "nb.ipynb/trust"),
                _of("POST", "nothing.ipynb/trust"),
                _of("POST", "plain.txt/trust"),
                _of("GET", "nb.ipynb/trust"),
                _of("GET", "trust/x.txt"),
            ),
        ),
        Story(
            "upload in chunks",
            tuple(
                _of(
                    "PUT",
                    "chunked.bin",
                    {
                        "type": "file",
                        "format": "base64",
                        "chunk": chunk,
                        "content": base64.b64encode(b"x" * 1000).decode(),
                    },
                )
                for chunk in (1, 2, 3, -1)
            )
            + (_of("GET", "chunked.bin"),),
        ),
        Story(
            "chunks of text",
            tuple(
                _of(
                    "PUT",
                    "chunked.txt",
                    {"type": "file", "format": "text", "chunk": chunk, "content": f"part {chunk}\n"},
                )
                for chunk in (1, 2, -1)
            )
            + (_of("GET", "chunked.txt"),),
        ),
        Story(
            "a chunk without a first",
            (
                _of("PUT", "late.bin", {"type": "file", "format": "base64", "chunk": 2, "content": "YQ=="}),
                _of("GET", "late.bin"),
            ),
        ),
        Story(
            "a notebook's round trip",
            (
                _of("PUT", "trip.ipynb", {"type": "notebook", "content": NOTEBOOK}),
                _of("GET", "trip.ipynb?content=1&hash=1".replace("?", "%3F")),
                Case("GET", f"{API}/trip.ipynb?hash=1"),
                Case("GET", f"{API}/trip.ipynb?type=file"),
                Case("GET", f"{API}/trip.ipynb?content=0"),
                _of("POST", "", {"copy_from": "trip.ipynb"}),
                _of("GET", "trip-Copy1.ipynb"),
            ),
        ),
        Story(
            "old paths",
            (
                Case("GET", "/api/notebooks"),
                Case("GET", "/api/notebooks/nb.ipynb"),
                Case("PUT", "/api/notebooks/nb.ipynb", {}),
                Case("GET", "/api/notebooks/sp%20ace.txt"),
            ),
        ),
        Story(
            "resolvePath",
            tuple(
                Case("GET", f"/api/resolvePath{q}")
                for q in (
                    "",
                    "?path=",
                    "?path=plain.txt",
                    "?path=dir/inner.txt",
                    "?path=/etc/passwd",
                    "?path=nothing.txt",
                    "?path=~/plain.txt",
                    "?path=../x",
                    "?path=plain.txt&kernel=",
                    "?path=plain.txt&kernel=00000000-0000-0000-0000-000000000000",
                    "?path=.hidden.txt",
                    "?path=sp%20ace.txt",
                    "?path=a%00b",
                    "?path=dir",
                    "?path=./plain.txt",
                )
            )
            + (Case("POST", "/api/resolvePath"),),
        ),
    ]
    return stories


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
