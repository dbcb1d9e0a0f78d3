"""Settings of JupyterLab and Notebook, under the class and trait names that operators know."""

from __future__ import annotations

import os
from typing import Any

from jupyter_core.paths import jupyter_path
from traitlets import Any as AnyTrait
from traitlets import Bool, Dict, Integer, List, Unicode, default
from traitlets.config import LoggingConfigurable

from jupyterd.frontends.packages import lab_app_dir, user_settings_dir, workspaces_dir

PAGE_TRAITS = (
    "app_name",
    "app_version",
    "app_namespace",
    "app_url",
    "app_settings_dir",
    "extra_labextensions_path",
    "labextensions_path",
    "templates_dir",
    "static_dir",
    "labextensions_url",
    "settings_url",
    "user_settings_dir",
    "schemas_dir",
    "workspaces_api_url",
    "workspaces_dir",
    "listings_url",
    "themes_url",
    "licenses_url",
    "themes_dir",
    "translations_api_url",
    "tree_url",
    "cache_files",
    "notebook_starts_kernel",
    "copy_absolute_path",
)
"""Settings that a page is told, camelCased. Source: the page of JupyterLab 4.6."""


class LabServerApp(LoggingConfigurable):
    """What JupyterLab and Notebook have in common.

    :param package: the directory of the front end's package.
    :param lab_package: the directory of JupyterLab's package, or of the front end's where it is not installed.
    """

    name = "jupyterlab_server"

    app_name = Unicode("JupyterLab Server Application", config=True, help="The application's name.")
    app_version = Unicode("", config=True, help="The application's version.")
    app_url = Unicode("/lab", help="The path of the application.")
    app_settings_dir = Unicode("", config=True, help="Directory of the application's own settings.")
    extra_labextensions_path = List(Unicode(), config=True, help="More directories of prebuilt extensions; they win.")
    labextensions_path = List(Unicode(), config=True, help="Directories of prebuilt extensions.")
    templates_dir = Unicode("", config=True, help="Directory of page templates.")
    static_dir = Unicode("", config=True, help="Directory of static files.")
    labextensions_url = Unicode("/lab/extensions", help="The path of prebuilt extensions.")
    settings_url = Unicode("/lab/api/settings", help="The path of the settings.")
    user_settings_dir = Unicode("", config=True, help="Directory of users' settings.")
    schemas_dir = Unicode("", config=True, help="Directory of the settings' schemas.")
    workspaces_api_url = Unicode("/lab/api/workspaces", help="The path of the workspaces.")
    workspaces_dir = Unicode("", config=True, help="Directory of the workspaces.")
    listings_url = Unicode("/lab/api/listings", help="The path of the extension listings.")
    themes_url = Unicode("/lab/api/themes", help="The path of the themes.")
    licenses_url = Unicode("/lab/api/licenses", help="The path of the licenses.")
    themes_dir = Unicode("", config=True, help="Directory of the themes.")
    translations_api_url = Unicode("/lab/api/translations", help="The path of the translations.")
    tree_url = Unicode("/lab/tree", help="The path below which files are opened.")
    cache_files = Bool(True, config=True, help="Let browsers cache files that have no fingerprint in their name.")
    notebook_starts_kernel = Bool(True, config=True, help="Start a kernel when a notebook is opened.")
    copy_absolute_path = Bool(False, config=True, help="Copy absolute paths in the file browser.")
    jupyterd_plugin = Bool(
        True, config=True, help="Load jupyterd's own plugins: outputs of running cells, runs on the server."
    )

    blocked_extensions_uris = Unicode(
        "", config=True, help="Comma-separated URIs with lists of extensions not to offer."
    )
    allowed_extensions_uris = Unicode("", config=True, help="Comma-separated URIs with lists of extensions to offer.")
    listings_refresh_seconds = Integer(60 * 60, config=True, help="Seconds after which the lists are fetched again.")
    listings_request_options = Dict(config=True, help="Options of the requests for the lists.")
    blacklist_uris = Unicode("", config=True, help="Deprecated, use blocked_extensions_uris.")
    whitelist_uris = Unicode("", config=True, help="Deprecated, use allowed_extensions_uris.")

    expose_app_in_browser = Bool(False, config=True, help="Let scripts of the page reach the application object.")

    def __init__(self, *, package: str, lab_package: str | None = None, **kwargs: Any) -> None:
        self.package = package
        self.lab_package = lab_package or package
        super().__init__(**kwargs)
        self.blocked_extensions_uris = self.blocked_extensions_uris or self.blacklist_uris
        self.allowed_extensions_uris = self.allowed_extensions_uris or self.whitelist_uris

    @property
    def app_namespace(self) -> str:
        """The name under which the page keeps its state."""
        return self.name

    @property
    def bare(self) -> bool:
        """Only what the package itself contains is served."""
        return False

    @property
    def extension_paths(self) -> list[str]:
        """Directories of prebuilt extensions, the one that wins first."""
        return [*self.extra_labextensions_path, *self.labextensions_path]

    @default("labextensions_path")
    def _labextensions_path(self) -> list[str]:
        return jupyter_path("labextensions")

    @default("user_settings_dir")
    def _user_settings_dir(self) -> str:
        return user_settings_dir()

    @default("workspaces_dir")
    def _workspaces_dir(self) -> str:
        return workspaces_dir()


class LabApp(LabServerApp):
    """JupyterLab."""

    name = "lab"

    default_url = Unicode("/lab", config=True, help="Where / leads to, if ServerApp.default_url says nothing.")
    override_static_url = Unicode(config=True, help="URL of JupyterLab's static files, where they lie elsewhere.")
    override_theme_url = Unicode(config=True, help="URL of JupyterLab's themes, where they lie elsewhere.")
    app_dir = Unicode(config=True, help="The application directory.")
    core_mode = Bool(False, config=True, help="Serve what the package itself contains, without extensions.")
    dev_mode = Bool(False, config=True, help="Serve the unpublished packages of a development install.")
    extensions_in_dev_mode = Bool(False, config=True, help="Load prebuilt extensions in development mode.")
    extension_manager = Unicode("pypi", config=True, help="The extension manager: pypi, readonly, or an installed one.")
    custom_css = Bool(False, config=True, help="Load custom/custom.css of the configuration directory.")
    collaborative = Bool(False, config=True, help="Deprecated, and without effect.")
    news_url = Unicode(
        "https://jupyterlab.github.io/assets/feed.xml",
        allow_none=True,
        config=True,
        help="Atom feed of news; None: none.",
    )
    lock_all_plugins = Bool(False, config=True, help="Let nobody switch plugins on or off.")
    check_for_updates_class = AnyTrait(
        "jupyterlab.handlers.announcements.CheckForUpdate",
        config=True,
        help="Only its name counts: NeverCheckForUpdate switches the search for updates off.",
    )

    @default("app_name")
    def _app_name(self) -> str:
        return "JupyterLab"

    @default("app_dir")
    def _app_dir(self) -> str:
        if self.dev_mode:
            return os.path.join(os.path.dirname(self.package), "dev_mode")
        return self.package if self.core_mode else lab_app_dir(self.package)

    @default("app_settings_dir")
    def _app_settings_dir(self) -> str:
        return os.path.join(self.app_dir, "settings")

    @default("schemas_dir")
    def _schemas_dir(self) -> str:
        return os.path.join(self.app_dir, "schemas")

    @default("themes_dir")
    def _themes_dir(self) -> str:
        return "" if self.override_theme_url else os.path.join(self.app_dir, "themes")

    @default("static_dir")
    def _static_dir(self) -> str:
        return os.path.join(self.app_dir, "static")

    @default("templates_dir")
    def _templates_dir(self) -> str:
        return os.path.join(self.app_dir, "static")

    @default("cache_files")
    def _cache_files(self) -> bool:
        return False

    @property
    def bare(self) -> bool:
        """Only what the package itself contains is served."""
        return self.core_mode or (self.dev_mode and not self.extensions_in_dev_mode)

    @property
    def extension_paths(self) -> list[str]:
        """Directories of prebuilt extensions, the one that wins first."""
        return [] if self.bare else super().extension_paths


class JupyterNotebookApp(LabServerApp):
    """Jupyter Notebook 7."""

    name = "notebook"

    default_url = Unicode(
        "/tree", config=True, help="Where / leads to, if ServerApp.default_url and LabApp say nothing."
    )
    custom_css = Bool(True, config=True, help="Load custom/custom.css of the configuration directory.")

    @default("app_name")
    def _app_name(self) -> str:
        return "Jupyter Notebook"

    @default("static_dir")
    def _static_dir(self) -> str:
        return os.path.join(self.package, "static")

    @default("templates_dir")
    def _templates_dir(self) -> str:
        return os.path.join(self.package, "templates")

    @default("app_settings_dir")
    def _app_settings_dir(self) -> str:
        return os.path.join(lab_app_dir(self.lab_package), "settings")

    @default("schemas_dir")
    def _schemas_dir(self) -> str:
        return os.path.join(lab_app_dir(self.lab_package), "schemas")

    @default("themes_dir")
    def _themes_dir(self) -> str:
        return os.path.join(lab_app_dir(self.lab_package), "themes")
