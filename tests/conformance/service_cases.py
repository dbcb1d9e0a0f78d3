"""Requests of all services but contents: kernels, sessions, terminals, configuration, identity, events, settings."""

from __future__ import annotations

from typing import Any

from tests.conformance.asking import UNKNOWN, Case, Story
from tests.conformance.servers import NOTEBOOK

BODIES: list[Any] = [None, b"{not json", b"\xff\xfe", b"[]", b"[1]", b"7", b'"text"', b"null", b"true", b"{}"]
ABSENT = "99999999-9999-9999-9999-999999999999"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW")
PATHS = [
    "/",
    "/api",
    "/api/",
    "/api/status",
    "/api/spec.yaml",
    "/api/me",
    "/api/me/",
    "/api/kernels",
    "/api/kernels/",
    f"/api/kernels/{UNKNOWN}",
    f"/api/kernels/{UNKNOWN}/",
    f"/api/kernels/{UNKNOWN}/interrupt",
    f"/api/kernels/{UNKNOWN}/restart",
    f"/api/kernels/{UNKNOWN}/dance",
    f"/api/kernels/{UNKNOWN}/channels",
    "/api/kernels/not-a-kernel",
    "/api/kernels/a-b-c-d-e",
    "/api/kernelspecs",
    "/api/kernelspecs/",
    "/api/kernelspecs/python3",
    "/api/kernelspecs/python3/",
    "/api/kernelspecs/nothing",
    "/api/kernelspecs/%2e%2e%2fx",
    "/api/kernelspecs/sp%20ace",
    "/kernelspecs/python3/logo-64x64.png",
    "/kernelspecs/python3/kernel.json",
    "/kernelspecs/python3/nothing.png",
    "/kernelspecs/nothing/logo-64x64.png",
    "/kernelspecs/python3/../python3/logo-64x64.png",
    "/kernelspecs/python3/%2e%2e/python3/logo-64x64.png",
    "/kernelspecs/python3/",
    "/kernelspecs/python3",
    "/kernelspecs",
    "/api/sessions",
    "/api/sessions/",
    f"/api/sessions/{UNKNOWN}",
    "/api/sessions/not-a-session",
    "/api/terminals",
    "/api/terminals/",
    "/api/terminals/nothing",
    "/api/terminals/1",
    "/terminals/websocket/nothing",
    "/api/config",
    "/api/config/",
    "/api/config/notebook",
    "/api/config/sp%20ace",
    "/api/config/a.b",
    "/api/config/%2e%2e",
    "/api/config/a%2fb",
    "/api/events",
    "/api/events/subscribe",
    "/api/nbconvert",
    "/api/nbconvert/",
    "/nbconvert",
    "/nbconvert/html",
    "/api/shutdown/",
    "/api/nothing",
    "/api/nothing/at/all",
    "/nothing",
    "/nothing/",
    "/favicon.ico",
    "/static/favicon.ico",
    "/static/favicons/favicon.ico",
    "/static/favicons/favicon-notebook.ico",
    "/static/logo/logo.png",
    "/static/style/index.css",
    "/static/nothing.js",
    "/static/",
    "/static/../x",
    "/api/security/csp-report",
    "/login",
    "/logout",
    "/lab",
    "/lab/",
    "/lab/tree",
    "/lab/tree/plain.txt",
    "/lab/tree/nothing.txt",
    "/lab/workspaces/w",
    "/lab/workspaces/w/tree/plain.txt",
    "/lab/doc",
    "/lab/doc/tree/plain.txt",
    "/lab/nothing",
    "/lab/api/settings",
    "/lab/api/settings/",
    "/lab/api/settings?ids_only=true",
    "/lab/api/settings/@jupyterlab/apputils-extension:themes",
    "/lab/api/settings/%40jupyterlab%2Fapputils-extension%3Athemes",
    "/lab/api/settings/nothing:nothing",
    "/lab/api/settings/nothing",
    "/lab/api/workspaces",
    "/lab/api/workspaces/",
    "/lab/api/workspaces/nothing",
    "/lab/api/workspaces/a%2Fb",
    "/lab/api/translations",
    "/lab/api/translations/",
    "/lab/api/translations/en",
    "/lab/api/translations/fr_FR",
    "/lab/api/translations/xx",
    "/lab/api/translations/default",
    "/lab/api/translations/nonsense!",
    "/lab/api/themes/@jupyterlab/theme-light-extension/index.css",
    "/lab/api/themes/nothing/index.css",
    "/lab/api/themes/",
    "/lab/api/listings/@jupyterlab/extensionmanager-extension/listings.json",
    "/lab/api/listings/",
    "/lab/api/build",
    "/lab/api/plugins",
    "/lab/api/nothing",
    "/lab/extensions/nothing/x.js",
    "/lab/extensions/",
    "/lab/static/nothing.js",
    "/static/lab/index.html",
    "/static/lab/nothing.js",
    "/tree",
    "/notebooks/nb.ipynb",
    "/edit/plain.txt",
    "/lsp/status",
    "/metrics",
]
OWN = (
    "/api/spec.yaml",
    "/favicon.ico",
    "/static/favicon.ico",
    "/static/favicons/favicon.ico",
    "/static/favicons/favicon-notebook.ico",
    "/static/logo/logo.png",
    "/static/style/index.css",
    "/metrics",
    "/lsp/status",
)
"""What each server has of its own: the status compares alone."""
DANGEROUS = {
    ("POST", path + slash)
    for path in ("/api/shutdown", "/lab/api/build", "/api/kernels", "/api/terminals")
    for slash in ("", "/")
}
"""Not asked in the walk."""


def walk() -> list[Case]:
    """Each path by GET; each with every method; strangers at each."""
    cases = [Case("GET", path, only="status" if path in OWN else "all") for path in PATHS]
    for path in PATHS:
        cases += [Case(method, path, only="status") for method in METHODS[1:] if (method, path) not in DANGEROUS]
    cases += [Case("GET", path, who="nobody", only="status" if path in OWN else "all") for path in PATHS]
    cases += [Case("GET", path, who="wrong", only="status") for path in PATHS]
    cases += [Case("POST", path, {}, who="nobody", only="status") for path in PATHS if "shutdown" not in path]
    return cases


KERNELS: list[Any] = [
    {"name": "nothing"},
    {"name": ""},
    {"name": 7},
    {"name": "../x"},
    {"name": "sp ace"},
    {"name": "python3", "kernel_id": "not a uuid"},
]


def kernels() -> list[Story]:
    one = (Case("POST", "/api/kernels", {"name": "python3"}, keep=(("kernel", "id"),)),)
    end = (Case("DELETE", "/api/kernels/{kernel}"), Case("GET", "/api/kernels/{kernel}"))
    return [
        Story(
            "bad kernels",
            tuple(
                Case("POST", "/api/kernels", body)
                for body in [*KERNELS, *(b for b in BODIES if b not in (None, b"{}", b"null"))]
            ),
        ),
        Story(
            "a kernel's life",
            (
                *one,
                Case("GET", "/api/kernels/{kernel}"),
                Case("GET", "/api/kernels"),
                Case("HEAD", "/api/kernels/{kernel}"),
                Case("GET", "/api/kernels/{kernel}/channels"),
                Case("GET", "/api/kernels/{kernel}/interrupt"),
                Case("POST", "/api/kernels/{kernel}/interrupt"),
                Case("POST", "/api/kernels/{kernel}/interrupt", b"{not"),
                Case("POST", "/api/kernels/{kernel}/restart"),
                Case("GET", "/api/kernels/{kernel}"),
                Case("POST", "/api/kernels/{kernel}"),
                Case("PATCH", "/api/kernels/{kernel}", {}),
                Case("GET", "/api/resolvePath?path=plain.txt&kernel={kernel}"),
                *end,
                Case("DELETE", "/api/kernels/{kernel}"),
                Case("POST", "/api/kernels/{kernel}/restart"),
            ),
        ),
        Story("a kernel without a body", (Case("POST", "/api/kernels", keep=(("kernel", "id"),)), *end)),
        Story(
            "a kernel in a directory",
            (Case("POST", "/api/kernels", {"path": "dir/nb.ipynb"}, keep=(("kernel", "id"),)), *end),
        ),
        Story(
            "a kernel in no directory",
            (Case("POST", "/api/kernels", {"path": "no/such"}, keep=(("kernel", "id"),)), *end),
        ),
    ]


def sessions() -> list[Story]:
    asked = {"path": "s.ipynb", "type": "notebook", "name": "s.ipynb", "kernel": {"name": "python3"}}
    at = "/api/sessions/{session}"
    bad: list[Any] = [
        *BODIES,
        {"type": "notebook"},
        {"path": "x.ipynb"},
        {"path": "x.ipynb", "type": "notebook", "kernel": {"name": "nothing"}},
        {"path": "x.ipynb", "type": "notebook", "kernel": {"id": UNKNOWN}},
        {"path": "x.ipynb", "type": "notebook", "kernel": []},
        {"path": "x.ipynb", "type": "notebook", "kernel": 7},
        {"path": "x.ipynb", "type": "notebook", "kernel": None},
        {"path": ["x"], "type": "notebook", "kernel": {"name": "nothing"}},
    ]
    return [
        Story(
            "bad sessions",
            (
                *(Case("POST", "/api/sessions", body) for body in bad),
                Case("GET", "/api/sessions", keep=(("session", "0.id"),)),
                Case("DELETE", at),
            ),
        ),
        Story(
            "a session's life",
            (
                Case("POST", "/api/sessions", asked, keep=(("session", "id"), ("kernel", "kernel.id"))),
                Case("POST", "/api/sessions", asked),
                Case("GET", "/api/sessions"),
                Case("GET", at),
                *(Case("PATCH", at, body) for body in [b for b in BODIES if b is not None]),
                Case("PATCH", at),
                Case("PATCH", at, {"path": "t.ipynb"}),
                Case("PATCH", at, {"name": "t"}),
                Case("PATCH", at, {"type": "console"}),
                Case("PATCH", at, {"path": None, "name": None}),
                Case("PATCH", at, {"path": "u.ipynb", "type": "notebook", "name": "u"}),
                Case("PATCH", at, {"notebook": {"path": "v.ipynb"}}),
                Case("PATCH", at, {"kernel": {"name": "nothing"}}),
                Case("PATCH", at, {"kernel": {"id": ABSENT}}),
                Case("PATCH", at, {"kernel": {}}),
                Case("PATCH", at, {"unknown": 1}),
                Case("GET", at),
                Case("PATCH", at, {"kernel": {"name": "python3"}}),
                Case("GET", "/api/kernels/{kernel}"),
                Case("DELETE", at),
                Case("DELETE", at),
                Case("GET", at),
                Case("GET", "/api/sessions"),
                Case("GET", "/api/kernels"),
            ),
        ),
        Story(
            "a session around a kernel",
            (
                Case("POST", "/api/kernels", {"name": "python3"}, keep=(("kernel", "id"),)),
                Case(
                    "POST",
                    "/api/sessions",
                    {"path": "w", "type": "console", "name": "", "kernel": {"id": "{kernel}"}},
                    keep=(("session", "id"),),
                ),
                Case(
                    "POST",
                    "/api/sessions",
                    {"path": "w2", "type": "notebook", "kernel": {"id": "{kernel}", "name": "nothing"}},
                ),
                Case("GET", "/api/sessions"),
                Case("DELETE", "/api/kernels/{kernel}"),
                Case("GET", "/api/sessions"),
                Case("GET", at),
                Case("DELETE", at),
            ),
        ),
        Story(
            "a session as old clients ask for one",
            (
                Case(
                    "POST",
                    "/api/sessions",
                    {"notebook": {"path": "old.ipynb", "name": "old"}, "kernel": {"name": "python3"}},
                    keep=(("session", "id"),),
                ),
                Case("DELETE", at),
            ),
        ),
    ]


def terminals() -> list[Story]:
    return [
        Story(
            "a terminal's life",
            (
                Case("GET", "/api/terminals"),
                Case("POST", "/api/terminals", keep=(("terminal", "name"),)),
                Case("GET", "/api/terminals"),
                Case("GET", "/api/terminals/{terminal}"),
                Case("POST", "/api/terminals/{terminal}"),
                Case("DELETE", "/api/terminals/{terminal}"),
                Case("DELETE", "/api/terminals/{terminal}"),
                Case("GET", "/api/terminals/{terminal}"),
                Case("POST", "/api/terminals", {"name": "mine"}),
                Case("POST", "/api/terminals", {"name": "mine"}),
                Case("GET", "/api/terminals/mine"),
                Case("DELETE", "/api/terminals/mine"),
                Case("POST", "/api/terminals", {"cwd": "dir"}, keep=(("terminal", "name"),)),
                Case("DELETE", "/api/terminals/{terminal}"),
                Case("POST", "/api/terminals", {"cwd": "no/such"}, keep=(("terminal", "name"),)),
                Case("DELETE", "/api/terminals/{terminal}"),
            ),
        ),
        Story(
            "bad terminals", tuple(Case("POST", "/api/terminals", body) for body in (b"{not", b"[]", b"7", b'"text"'))
        ),
    ]


def others() -> list[Story]:
    return [_configuration(), _server(), _events(), _conversion(), _settings(), _workspaces()]


def _configuration() -> Story:
    section = "/api/config/section"
    return Story(
        "a section of the configuration",
        (
            Case("GET", section),
            *(Case("PUT", section, body) for body in BODIES),
            *(Case("PATCH", section, body) for body in BODIES),
            Case("PUT", section, {"a": {"b": 1, "c": 2}, "d": "\u00fc"}),
            Case("GET", section),
            Case("PATCH", section, {"a": {"b": None, "e": [1, {"f": None}]}}),
            Case("GET", section),
            Case("POST", section, {}),
            Case("DELETE", section),
            Case("PUT", "/api/config/section.json", {"x": 1}),
            Case("GET", "/api/config/section.json"),
            Case("PUT", "/api/config/a-b_c", {"x": 1}),
        ),
    )


def _server() -> Story:
    return Story(
        "who am I",
        (
            Case("GET", "/api/me"),
            *(
                Case("GET", f"/api/me?permissions={value}")
                for value in (
                    "%7B%22contents%22:[%22read%22,%22fly%22]%7D",
                    "%7B%7D",
                    "[]",
                    "7",
                    "nonsense",
                    "%7B%22contents%22:7%7D",
                    "%7B%22contents%22:[7]%7D",
                    "",
                )
            ),
            *(Case("PATCH", "/api/me", body) for body in BODIES),
            Case("PATCH", "/api/me", {"color": "red"}),
            Case("PATCH", "/api/me", {"name": "Me"}),
            Case("GET", "/api/me", who="query"),
        ),
    )


def _events() -> Story:
    schema = "https://events.jupyter.org/jupyter_server/contents_service/v1"
    kernel_actions = "https://events.jupyter.org/jupyter_server/kernel_actions/v1"
    return Story(
        "events",
        (
            *(Case("POST", "/api/events", body) for body in BODIES),
            Case("POST", "/api/events", {"schema_id": "http://nothing"}),
            Case("POST", "/api/events", {"schema_id": "http://nothing", "version": "1", "data": {}}),
            Case("POST", "/api/events", {"schema_id": schema, "version": "1", "data": {"action": "get", "path": "x"}}),
            Case("POST", "/api/events", {"schema_id": schema, "version": 1, "data": {"action": "get", "path": "x"}}),
            Case("POST", "/api/events", {"schema_id": schema, "version": "9", "data": {"action": "get", "path": "x"}}),
            Case("POST", "/api/events", {"schema_id": schema, "version": "1", "data": {"action": "fly"}}),
            Case("POST", "/api/events", {"schema_id": schema, "version": "1", "data": {}}),
            Case("POST", "/api/events", {"schema_id": schema, "version": "1"}),
            Case("POST", "/api/events", {"schema_id": schema, "version": "1", "data": []}),
            Case(
                "POST",
                "/api/events",
                {"schema_id": kernel_actions, "version": "1", "data": {"action": "start", "msg": "x"}},
            ),
            Case(
                "POST",
                "/api/events",
                {
                    "schema_id": schema,
                    "version": "1",
                    "timestamp": "2024-01-01T00:00:00+0000Z",
                    "data": {"action": "get", "path": "x"},
                },
            ),
            Case(
                "POST",
                "/api/events",
                {
                    "schema_id": schema,
                    "version": "1",
                    "timestamp": "nonsense",
                    "data": {"action": "get", "path": "x"},
                },
            ),
        ),
    )


def _conversion() -> Story:
    return Story(
        "conversion",
        (
            Case("GET", "/api/nbconvert", only="status"),
            Case("GET", "/nbconvert/nothing/nb.ipynb"),
            Case("GET", "/nbconvert/python/nothing.ipynb"),
            Case("GET", "/nbconvert/python/plain.txt"),
            Case("GET", "/nbconvert/python/dir"),
            Case("GET", "/nbconvert/python/broken.ipynb"),
            Case("GET", "/nbconvert/python/.hidden.txt"),
            Case("GET", "/nbconvert/python/nb.ipynb"),
            Case("GET", "/nbconvert/python/nb.ipynb?download=true"),
            Case("GET", "/nbconvert/markdown/dir/nb.ipynb"),
            Case("GET", "/nbconvert/html/nb.ipynb"),
            Case("GET", "/nbconvert/html/nb.ipynb?download=true"),
            Case("GET", "/nbconvert/notebook/nb.ipynb"),
            Case("GET", "/nbconvert/rst/nb.ipynb"),
            Case("GET", "/nbconvert/script/nb.ipynb"),
            *(Case("POST", "/nbconvert/python", body) for body in BODIES),
            Case("POST", "/nbconvert/nothing", {"content": {}}),
            Case("POST", "/nbconvert/python", {"content": {}}),
            Case("POST", "/nbconvert/python", {"content": NOTEBOOK}),
            Case("POST", "/nbconvert/python", {"name": "n.ipynb", "path": "dir", "content": NOTEBOOK}),
            Case("POST", "/nbconvert/html/nb.ipynb", {"content": NOTEBOOK}),
        ),
    )


def _settings() -> Story:
    setting = "/lab/api/settings/@jupyterlab/apputils-extension:themes"
    return Story(
        "settings",
        (
            Case("GET", setting),
            *(Case("PUT", setting, body) for body in BODIES),
            *(
                Case("PUT", setting, body)
                for body in (
                    {"raw": "{}"},
                    {"raw": '{ "theme": "JupyterLab Dark" } // dark'},
                    {"raw": "{broken"},
                    {"raw": 7},
                    {"raw": '{"theme": 7}'},
                    {"raw": "[]"},
                )
            ),
            Case("GET", setting),
            Case("PUT", "/lab/api/settings/nothing:nothing", {"raw": "{}"}),
            Case("PUT", "/lab/api/settings/", {"raw": "{}"}, only="status"),
            Case("PUT", "/lab/api/settings", {"raw": "{}"}, only="status"),
            Case("PUT", setting, {"raw": ""}),
            Case("GET", setting),
            Case("GET", "/lab/api/settings?ids_only=true"),
            Case("GET", "/lab/api/settings?ids_only=nonsense", only="status"),
        ),
    )


def _workspaces() -> Story:
    space = "/lab/api/workspaces/space"
    return Story(
        "workspaces",
        (
            Case("GET", "/lab/api/workspaces"),
            Case("GET", space),
            *(Case("PUT", space, body) for body in BODIES),
            Case("PUT", space, {"data": {}, "metadata": {"id": "space"}}),
            Case("GET", space),
            Case("PUT", space, {"data": {"x": 1}, "metadata": {"id": "other"}}),
            Case("PUT", space, {"data": {}, "metadata": {}}),
            Case("PUT", space, {"data": {}}),
            Case("PUT", "/lab/api/workspaces/a/b", {"data": {}, "metadata": {"id": "a/b"}}),
            Case("PUT", "/lab/api/workspaces/%C3%BC", {"data": {}, "metadata": {"id": "\u00fc"}}),
            Case("PUT", "/lab/api/workspaces/auto-X", {"data": {}, "metadata": {"id": "auto-X"}}),
            Case("GET", "/lab/api/workspaces"),
            Case("GET", "/lab/workspaces/space", only="status"),
            Case("DELETE", space),
            Case("DELETE", space),
            Case("DELETE", "/lab/api/workspaces/a/b"),
            Case("DELETE", "/lab/api/workspaces/"),
            Case("GET", "/lab/api/workspaces"),
        ),
    )
