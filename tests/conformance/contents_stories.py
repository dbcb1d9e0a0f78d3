"""Stories of ``/api/contents``: what is saved, moved, deleted and asked for again, in this order."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

from tests.conformance.asking import Case, Story, url
from tests.conformance.contents_cases import API, of
from tests.conformance.servers import NOTEBOOK, OLD_NOTEBOOK

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
    return [*_bodies(), *_odd_names(), *_places(), *_moves(), *_checkpoints(), *_chunks(), *_old_paths()]


def _bodies() -> list[Story]:
    """Every model and what is none, sent to every place."""
    stories = []
    for index, model in enumerate(MODELS):
        for name in (f"put{index}.txt", f"put{index}.ipynb"):
            cases = (of("PUT", name, model), of("GET", name), of("PUT", name, model), of("DELETE", name))
            stories.append(Story(f"PUT {name} {model}", cases))
    for index, body in enumerate(BODIES):
        here = f"here{index}"
        stories.append(
            Story(
                f"bodies {body!r}",
                (
                    of("PUT", here, {"type": "directory"}),
                    of("PUT", f"{here}/x.txt", body),
                    of("POST", here, body),
                    of("PATCH", f"{here}/x.txt", body),
                    of("GET", here),
                ),
            )
        )
    for index, body in enumerate(POSTS):
        here = f"into{index}"
        asked = (of("POST", here, body), of("POST", here, body), of("POST", here, body), of("GET", here))
        stories.append(Story(f"POST {body}", (of("PUT", here, {"type": "directory"}), *asked)))
    return stories


def _odd_names() -> Iterator[Story]:
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
        yield Story(
            f"odd name {name!r}",
            (
                of("PUT", f"odd/{name}", model),
                of("PUT", "odd", {"type": "directory"}),
                of("PUT", f"odd/{name}", model),
                of("GET", f"odd/{name}"),
                of("POST", f"odd/{name}/checkpoints"),
                of("GET", f"odd/{name}/checkpoints"),
                of("POST", "odd", {"copy_from": f"odd/{name}"}),
                of("PATCH", f"odd/{name}", {"path": f"odd/moved {name}"}),
                of("GET", "odd"),
                of("GET", f"odd/{name}"),
                Case("GET", f"/files/{url('odd/moved ' + name)}"),
                of("DELETE", f"odd/moved {name}"),
            ),
        )


def _places() -> list[Story]:
    """Where something can not be saved, and what can not be deleted."""
    return [
        Story(
            "PUT where it can not be",
            tuple(
                of("PUT", path, MODELS[0])
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
                of("PUT", "plain.txt", {"type": "directory"}),
                of("PUT", "dir", {"type": "directory"}),
                of("PUT", "nb.ipynb", {"type": "directory"}),
            ),
        ),
        Story(
            "DELETE",
            tuple(
                of("DELETE", path)
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
            + (Case("DELETE", f"{API}/"), Case("DELETE", f"{API}/../x", only="status"), of("GET", "")),
        ),
    ]


def _moves() -> list[Story]:
    return [
        Story(
            "PATCH",
            (
                of("PUT", "a.txt", MODELS[0]),
                of("PUT", "b.txt", MODELS[0]),
                *(
                    of("PATCH", "a.txt", body)
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
                of("PATCH", "dir/a.txt", {"path": "/a2.txt"}),
                of("PATCH", "a2.txt", {"path": "../out.txt"}),
                of("PATCH", "a2.txt", {"path": ".hid.txt"}),
                of("PATCH", "a2.txt", {"path": "A2.txt"}),
                of("PATCH", "A2.txt", {"path": "z" * 300}),
                of("PATCH", "A2.txt", {"path": "a\0b"}),
                of("PATCH", "nothing.txt", {"path": "x.txt"}),
                of("PATCH", ".hidden.txt", {"path": "x.txt"}),
                of("PATCH", "", {"path": "x"}),
                of("PATCH", "A2.txt", {"type": "file"}),
                of("PATCH", "A2.txt", {"path": "a2.ipynb"}),
                of("GET", "a2.ipynb"),
                of("POST", "", {"type": "directory"}),
                of("PATCH", "Untitled Folder", {"path": "Renamed"}),
                of("PATCH", "Renamed", {"path": "Renamed/Inside"}),
                of("PATCH", "Renamed", {"path": "dir/Renamed"}),
                of("GET", "dir"),
            ),
        ),
    ]


def _checkpoints() -> list[Story]:
    return [
        Story(
            "checkpoints",
            (
                of("PUT", "cp.txt", MODELS[0]),
                of("GET", "cp.txt/checkpoints"),
                of("POST", "cp.txt/checkpoints", keep=(("cp", "id"),)),
                of("GET", "cp.txt/checkpoints"),
                of("PUT", "cp.txt", MODELS[2]),
                of("POST", "cp.txt/checkpoints/checkpoint"),
                of("GET", "cp.txt"),
                of("POST", "cp.txt/checkpoints", {"x": 1}),
                of("POST", "cp.txt/checkpoints", b"{not"),
                of("POST", "cp.txt/checkpoints/nothing"),
                of("DELETE", "cp.txt/checkpoints/nothing"),
                of("PATCH", "cp.txt", {"path": "cp2.txt"}),
                of("GET", "cp2.txt/checkpoints"),
                of("GET", "cp.txt/checkpoints"),
                of("DELETE", "cp2.txt/checkpoints/checkpoint"),
                of("DELETE", "cp2.txt/checkpoints/checkpoint"),
                of("GET", "cp2.txt/checkpoints"),
                of("POST", "cp2.txt/checkpoints/checkpoint"),
                of("PUT", "cp2.txt/checkpoints", {}),
                of("PATCH", "cp2.txt/checkpoints", {}),
                of("DELETE", "cp2.txt/checkpoints"),
                of("GET", "cp2.txt/checkpoints/checkpoint"),
                of("GET", "cp2.txt/checkpoints/"),
                of("POST", "cp2.txt/checkpoints/"),
                *(
                    of(method, f"{path}/checkpoints")
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
                of("POST", "nb.ipynb/checkpoints"),
                of("POST", "nb.ipynb/checkpoints/checkpoint"),
                of("GET", "nb.ipynb"),
                of("DELETE", "nb.ipynb/checkpoints/checkpoint"),
                of("POST", "cp2.txt/checkpoints/a%20b"),
                Case("POST", f"{API}/cp2.txt/checkpoints/a.b", only="status"),
            ),
        ),
        Story(
            "trust",
            (
                of("POST", "nb.ipynb/trust"),
                of("POST", "nothing.ipynb/trust"),
                of("POST", "plain.txt/trust"),
                of("GET", "nb.ipynb/trust"),
                of("GET", "trust/x.txt"),
            ),
        ),
    ]


def _chunks() -> list[Story]:
    """Uploads in pieces."""
    return [
        Story(
            "upload in chunks",
            tuple(
                of(
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
            + (of("GET", "chunked.bin"),),
        ),
        Story(
            "chunks of text",
            tuple(
                of(
                    "PUT",
                    "chunked.txt",
                    {"type": "file", "format": "text", "chunk": chunk, "content": f"part {chunk}\n"},
                )
                for chunk in (1, 2, -1)
            )
            + (of("GET", "chunked.txt"),),
        ),
        Story(
            "a chunk without a first",
            (
                of("PUT", "late.bin", {"type": "file", "format": "base64", "chunk": 2, "content": "YQ=="}),
                of("GET", "late.bin"),
            ),
        ),
        Story(
            "a notebook's round trip",
            (
                of("PUT", "trip.ipynb", {"type": "notebook", "content": NOTEBOOK}),
                of("GET", "trip.ipynb?content=1&hash=1".replace("?", "%3F")),
                Case("GET", f"{API}/trip.ipynb?hash=1"),
                Case("GET", f"{API}/trip.ipynb?type=file"),
                Case("GET", f"{API}/trip.ipynb?content=0"),
                of("POST", "", {"copy_from": "trip.ipynb"}),
                of("GET", "trip-Copy1.ipynb"),
            ),
        ),
    ]


def _old_paths() -> list[Story]:
    return [
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
