"""A small application directory, laid out as JupyterLab's, and its front ends on a site in memory."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from twisted.internet.testing import MemoryReactorClock

from jupyterd.app.frontends import FrontEnds, mount
from jupyterd.errors import NotFound
from jupyterd.settings.load import load
from jupyterd.testing.deferreds import at_once
from jupyterd.testing.http import MemorySite
from jupyterd.web.pages import Pages
from jupyterd.web.root import Root

INDEX = (
    "<title>{{ page_config.appName }}</title>{% set c = page_config.copy() %}{% set _ = c.update(baseUrl=base_url) %}"
    '<script id="jupyter-config-data" type="application/json">{{ c | tojson }}</script>'
    "{% if custom_css %}custom{% endif %}"
)
THEMES = "@jupyterlab/apputils-extension:themes"
LOCALE = "@jupyterlab/translation-extension:plugin"


def write(path: Path, value: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return path


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """``app`` (JupyterLab's), ``ext`` (prebuilt extensions), ``config``, ``root``."""
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    monkeypatch.setenv("LANG", "C")
    for name in ("JUPYTERLAB_DIR", "JUPYTERLAB_SETTINGS_DIR", "JUPYTERLAB_WORKSPACES_DIR", "JUPYTER_NO_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    app = tmp_path / "app"
    write(app / "static" / "index.html", INDEX)
    write(app / "static" / "package.json", {"name": "@jupyterlab/application-top", "jupyterlab": {"version": "4.6.6"}})
    write(app / "static" / "main.0123456789abcdef.js", "let a = 1;")
    write(app / "static" / "style.js", "let b = 1;")
    write(app / "static" / "third-party-licenses.json", {"packages": [{"name": "x", "licenseId": "MIT"}]})
    write(app / "themes" / "@jupyterlab" / "light" / "index.css", "a { background: url('img/x.png'); }")
    write(app / "themes" / "@jupyterlab" / "light" / "img" / "x.png", "png")
    properties = {"theme": {"type": "string", "default": "Light"}, "overrides": {"type": "object", "default": {"a": 1}}}
    schemas = app / "schemas" / "@jupyterlab"
    write(schemas / "apputils-extension" / "themes.json", {"title": "Theme", "properties": properties})
    write(schemas / "apputils-extension" / "package.json.orig", {"version": "4.6.6"})
    write(schemas / "translation-extension" / "plugin.json", {"properties": {"locale": {"type": "string"}}})
    extension = tmp_path / "ext" / "@org" / "thing"
    build = {"load": "static/remoteEntry.0123456789ab.js", "extension": "./extension", "style": "./style"}
    package = {"name": "@org/thing", "version": "1.0.0", "jupyterlab": {"_build": build}}
    write(extension / "package.json", package)
    write(extension / "static" / "remoteEntry.0123456789ab.js", "remote")
    write(extension / "static" / "style.js", "style")
    write(extension / "schemas" / "@org" / "thing" / "main.json", {"title": "Thing", "properties": {}})
    write(extension / "themes" / "thing" / "index.css", "b {}")
    (tmp_path / "root").mkdir()
    return tmp_path


class MemoryContents:
    """Enough of the contents service for pages."""

    def __init__(self) -> None:
        self.kinds = {"": "directory", "a b": "directory", "n.ipynb": "notebook", "t.txt": "file"}
        self.manager = SimpleNamespace(preferred_dir="", allow_hidden=False, delete_to_trash=True, get=self._get)

    def _get(self, path: str, content: bool) -> dict[str, Any]:
        if path not in self.kinds:
            raise NotFound(path)
        return {"type": self.kinds[path]}

    def ask(self, operation: Any, *args: Any) -> Any:
        from twisted.internet.defer import Deferred

        return Deferred.fromCoroutine(operation(self.manager, *args))


Serve = Callable[..., MemorySite]


@pytest.fixture
def serve(home: Path) -> Serve:
    """A site with the front ends; more options may be given."""

    def make(*options: str, base_url: str = "/") -> MemorySite:
        settings = load(
            [
                f"--ServerApp.base_url={base_url}",
                f"--ServerApp.root_dir={home / 'root'}",
                "--IdentityProvider.token=secret",
                "--allow-root",
                f"--LabApp.app_dir={home / 'app'}",
                f"--LabServerApp.labextensions_path={home / 'ext'}",
                *options,
            ]
        )
        root = Root(settings.server.base_url)
        provider = SimpleNamespace(token="secret")
        kernels = SimpleNamespace(untracked_message_types=["stream"])
        fronts = FrontEnds(
            settings, MemoryReactorClock(), at_once, at_once, MemoryContents, lambda: kernels, lambda: provider
        )  # type: ignore[arg-type]
        mount(root, fronts, Pages(settings.server.base_url).render)
        return MemorySite(root)

    return make


def page_config(body: bytes) -> dict[str, Any]:
    text = body.decode()
    start = text.index('application/json">') + len('application/json">')
    found: dict[str, Any] = json.loads(text[start : text.index("</script>", start)])
    return found
