"""Page configuration: what a page of JupyterLab or Notebook is told about its server (``jupyter-config-data``)."""

from __future__ import annotations

import copy
import json
import os
import posixpath
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from jupyterd.config_manager import recursive_update
from jupyterd.frontends.federated import application_version, page_settings
from jupyterd.frontends.json_files import layered
from jupyterd.frontends.plugin import entries
from jupyterd.frontends.settings import PAGE_TRAITS, JupyterNotebookApp, LabApp, LabServerApp
from jupyterd.utils import url_path_join

# Only extensions that draw with MathJax 2 load it; JupyterLab brings its own.
MATHJAX = "https://cdnjs.cloudflare.com/ajax/libs/mathjax/2.7.7/MathJax.js"
MANAGERS: dict[str, dict[str, Any]] = {
    "pypi": {"name": "PyPI", "can_install": True, "install_path": sys.prefix},
    "readonly": {"name": "read-only", "can_install": False, "install_path": sys.prefix},
}
"""The extension managers that JupyterLab brings, as its page is told of them."""


@dataclass(frozen=True)
class PageSurroundings:
    """What pages are told of the server around them.

    :param token: what pages send in place of a cookie.
    :param of_page: tells of one request (``handler``) what its page alone is told: the token, where the Hub is.
    :param preferred_path: the directory that is opened first, below the root; empty for the root.
    :param delete_to_trash: None where the contents manager has no such setting.
    :param server_version: the version of the Jupyter Server API, as three numbers.
    :param nbclassic: the classic notebook is served too.
    :param extra: ``page_config_data`` that an operator or another feature adds.
    """

    base_url: str
    ws_url: str = ""
    root_dir: str = ""
    token: str = ""
    preferred_path: str = ""
    quit_button: bool = True
    terminals: bool = True
    allow_hidden: bool = False
    delete_to_trash: bool | None = None
    server_version: tuple[int, int, int] = (2, 21, 1)
    untracked_message_types: list[str] = field(default_factory=list)
    nbclassic: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict)
    of_page: Callable[[Any], Mapping[str, Any]] | None = None

    def shown_to(self, request: Any) -> PageSurroundings:
        """The same for one page."""
        if self.of_page is None:
            return self
        told = dict(self.of_page(request.handler))
        token = str(told.pop("token", self.token))
        return replace(self, token=token, extra={**self.extra, **told})


def camel_case(name: str) -> str:
    """``app_name`` → ``appName``."""
    first, *others = name.split("_")
    return first + "".join(word.title() for word in others)


def below(base_url: str, url: str) -> str:
    """A path of this server with its ``base_url``; a whole URL as it is."""
    parts = urlsplit(url)
    return url if parts.scheme and parts.netloc else url_path_join(base_url, url)


def lab_page(app: LabApp, around: PageSurroundings, store_id: int) -> dict[str, Any]:
    """The configuration of a JupyterLab page; reads files.

    :param store_id: another number for each page.
    """
    core = app.core_mode or app.dev_mode
    static = layered("page_config")
    page = {**copy.deepcopy(dict(around.extra)), **static}
    page.setdefault("buildAvailable", not core)
    page.setdefault("buildCheck", not core)
    page |= _of_server(around)
    page |= {
        "devMode": app.dev_mode,
        "exposeAppInBrowser": app.expose_app_in_browser,
        "quitButton": around.quit_button,
        "allow_hidden_files": around.allow_hidden,
        "notebookVersion": json.dumps(around.server_version),
        "store_id": store_id,
    }
    if around.delete_to_trash is not None:
        page["delete_to_trash"] = around.delete_to_trash
    if not app.core_mode:
        page["extensionManager"] = MANAGERS.get(app.extension_manager, MANAGERS["readonly"])
        page["news"] = {"disabled": app.news_url is None}
    page.setdefault("fullStaticUrl", (app.override_static_url or below(around.base_url, "/static/lab")).rstrip("/"))
    page.setdefault("ignorePlugins", [])
    page.setdefault("serverRoot", around.root_dir.replace(os.sep, "/"))
    page["preferredPath"] = around.preferred_path or "/"
    page |= _of_application(app, around)
    page["appVersion"] = app.app_version or application_version(app.static_dir)
    recursive_update(page, page_settings(app.extension_paths, app.app_settings_dir, _own_extensions(app)))
    return page


def notebook_page(app: JupyterNotebookApp, around: PageSurroundings, version: str) -> dict[str, Any]:
    """The configuration of a Notebook page; reads files.

    :param version: of Notebook.
    """
    from jupyter_core.paths import jupyter_config_dir

    page = {**copy.deepcopy(dict(around.extra)), **_of_server(around)}
    page |= {
        "baseUrl": around.base_url,
        "fullStaticUrl": below(around.base_url, "/static/notebook"),
        "frontendUrl": url_path_join(around.base_url, "/"),
        "exposeAppInBrowser": app.expose_app_in_browser,
        "preferredPath": posixpath.normpath("/" + around.preferred_path),
        "nbclassic_enabled": around.nbclassic,
        "notebookVersion": json.dumps(around.server_version),
    }
    page.setdefault("jupyterConfigDir", jupyter_config_dir())
    page |= _of_application(app, around)
    page["appVersion"] = app.app_version or version
    recursive_update(page, page_settings(app.extension_paths, own=_own_extensions(app)))
    return page


def _own_extensions(app: LabServerApp) -> list[dict[str, Any]]:
    return entries() if app.jupyterd_plugin and not app.bare else []


def _of_server(around: PageSurroundings) -> dict[str, Any]:
    settings = {
        "token": around.token,
        "terminalsAvailable": around.terminals,
        "mathjaxConfig": "TeX-AMS_HTML-full,Safe",
        "fullMathjaxUrl": MATHJAX,
    }
    if around.untracked_message_types:
        settings["untracked_message_types"] = list(around.untracked_message_types)
    return settings


def _of_application(app: LabServerApp, around: PageSurroundings) -> dict[str, Any]:
    settings = {camel_case(name): getattr(app, name) for name in PAGE_TRAITS}
    for name in PAGE_TRAITS:
        if name.endswith("_url"):
            settings[camel_case(f"full_{name}")] = below(around.base_url, getattr(app, name))
    server = around.extra.get("hubServerName")
    if server:  # several servers of one user have several tabs in one browser
        settings["appName"] = f"{settings['appName']} ({server})"
    return settings
