"""Front ends of a daemon, from its settings and what is installed, and where they are mounted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from twisted.logger import Logger

from jupyterd.frontends.packages import package_dir
from jupyterd.system.threads import InThread
from jupyterd.utils import url_path_join
from jupyterd.web.root import Root

if TYPE_CHECKING:
    from jupyterd.config.manager import ConfigManager
    from jupyterd.contents.service import Contents
    from jupyterd.frontends.lab.resource import LabAdministration, LabAPI
    from jupyterd.frontends.page_config import PageSurroundings
    from jupyterd.frontends.settings import JupyterNotebookApp, LabApp, LabServerApp
    from jupyterd.frontends.static_files import StaticFiles
    from jupyterd.settings.load import Settings

DASHBOARD = "/jupyterd"
MANAGER_CLASSES = ("ExtensionManager", "PluginManager", "PyPIExtensionManager", "ReadOnlyExtensionManager")


class FrontEnds:
    """What is installed and wanted; each part is made when it is first asked for.

    :param network: where requests to other servers wait.
    :param contents: gives the contents service.
    :param kernels: gives the kernel manager.
    :param provider: gives the identity provider, which knows what each page is told.
    :param native_page_config: what extensions of jupyterd itself tell them.
    :param page_config: what server extensions tell the pages; None where there are none.
    :ivar serves: whether something is mounted at a path of one segment.
    """

    log = Logger()

    def __init__(
        self,
        settings: Settings,
        reactor: Any,
        in_thread: InThread,
        network: InThread,
        contents: Callable[[], Contents],
        kernels: Callable[[], Any],
        provider: Callable[[], Any],
        page_config: Callable[[], Awaitable[Mapping[str, Any]]] | None = None,
        native_page_config: Callable[[], Mapping[str, Any]] = dict,
    ) -> None:
        self._settings = settings
        self._server = settings.server
        self._reactor = reactor
        self._in_thread = in_thread
        self._network = network
        self._contents = contents
        self._kernels = kernels
        self._provider = provider
        self._page_config = page_config
        self._native_page_config = native_page_config
        self.serves: Callable[[str], bool] = lambda path: False
        self.lab_package = self._wanted("jupyterlab")
        self.notebook_package = self._wanted("notebook")

    def _wanted(self, name: str) -> str | None:
        """The package's directory; None where it is absent or the operator has switched it off."""
        return package_dir(name) if self._server.jpserver_extensions.get(name, True) else None

    def read_what_is_set(self) -> None:
        """Read what the operator has set of them, if anything, so that a mistake is told at the start."""
        if not self._settings.touches("jupyterd.frontends"):
            return
        for package, app in ((self.lab_package, "lab"), (self.notebook_package, "notebook")):
            if package is not None:
                getattr(self, app)

    @cached_property
    def lab(self) -> LabApp:
        """JupyterLab's settings."""
        from jupyterd.frontends.settings import LabApp

        assert self.lab_package is not None
        lab = LabApp(package=self.lab_package, config=self._settings.config, log=self._server.log)
        if lab.collaborative and not self._server.jpserver_extensions.get("jupyter_server_ydoc"):
            self.log.warn("LabApp.collaborative has no effect: jupyter-collaboration is not installed")
        return lab

    @cached_property
    def notebook(self) -> JupyterNotebookApp:
        """Notebook's settings."""
        from jupyterd.frontends.settings import JupyterNotebookApp

        assert self.notebook_package is not None
        lab = self.lab_package or package_dir("jupyterlab")
        config, log = self._settings.config, self._server.log
        return JupyterNotebookApp(package=self.notebook_package, lab_package=lab, config=config, log=log)

    @cached_property
    def assets(self) -> StaticFiles:
        """Sends static files."""
        from jupyterd.frontends.static_files import StaticFiles

        return StaticFiles(tuple(self._server.static_immutable_cache))

    @property
    def _any(self) -> LabServerApp:
        return self.lab if self.lab_package is not None else self.notebook

    def default_url(self) -> str | None:
        """Where ``/`` leads to; None where there is nothing to lead to."""
        if self._server.default_url != "/":
            return str(self._server.default_url)
        if self.lab_package is not None:
            return str(self.lab.default_url)
        return str(self.notebook.default_url) if self.notebook_package is not None else None

    async def surroundings(self) -> PageSurroundings:
        """What pages are told of the server, now; extensions are waited for."""
        from jupyterd.frontends.page_config import PageSurroundings

        extra = dict(self._native_page_config())
        if self._page_config is not None:
            extra |= await self._page_config()
        server, manager, provider = self._server, self._contents().manager, self._provider()
        return PageSurroundings(
            base_url=server.base_url,
            ws_url=server.websocket_url,
            root_dir=server.root_dir,
            of_page=getattr(provider, "page_config", None) or (lambda _: {"token": getattr(provider, "token", "")}),
            preferred_path=str(getattr(manager, "preferred_dir", "")),
            quit_button=server.quit_button,
            terminals=server.terminals_enabled,
            allow_hidden=bool(getattr(manager, "allow_hidden", False)),
            delete_to_trash=getattr(manager, "delete_to_trash", None),
            untracked_message_types=list(getattr(self._kernels(), "untracked_message_types", ())),
            nbclassic=self._page_config is not None and bool(server.jpserver_extensions.get("nbclassic")),
            extra={**server.tornado_settings.get("page_config_data", {}), **extra, **self._ours()},
        )

    def _ours(self) -> dict[str, Any]:
        """What our own plugins are told."""
        if not self.serves(DASHBOARD):
            return {}
        return {"jupyterdDashboard": url_path_join(self._server.base_url, DASHBOARD)}

    @cached_property
    def api(self) -> LabAPI:
        """``/lab/api``."""
        from jupyterd.frontends.lab.licenses import Licenses
        from jupyterd.frontends.lab.listings import Listings
        from jupyterd.frontends.lab.plugin_settings import PluginSettings
        from jupyterd.frontends.lab.resource import LabAPI
        from jupyterd.frontends.lab.translations import Translations
        from jupyterd.frontends.lab.workspaces import Workspaces

        app, translations, paths = self._any, Translations(), self._any.extension_paths
        return LabAPI(
            lab=app,
            in_thread=self._in_thread,
            settings=PluginSettings(app.app_settings_dir, app.schemas_dir, app.user_settings_dir, paths, translations),
            workspaces=Workspaces(app.workspaces_dir),
            translations=translations,
            licenses=Licenses(app.static_dir, paths),
            listings=Listings(
                self._reactor,
                self._network,
                blocked_uris=_uris(app.blocked_extensions_uris),
                allowed_uris=_uris(app.allowed_extensions_uris),
                refresh=app.listings_refresh_seconds,
                options=app.listings_request_options,
            ),
        )

    @cached_property
    def administration(self) -> LabAdministration:
        """Plugins, extensions, builds and news of JupyterLab."""
        from jupyterd.frontends.federated import application_version
        from jupyterd.frontends.lab.extension_manager import Builder, ExtensionManager
        from jupyterd.frontends.lab.news import News, releases_of
        from jupyterd.frontends.lab.plugins import Plugins
        from jupyterd.frontends.lab.resource import LabAdministration

        lab = self.lab
        app = {"app_dir": lab.app_dir, "labextensions_path": lab.extension_paths}
        policy = {
            "blocked_extensions_uris": _uris(lab.blocked_extensions_uris),
            "allowed_extensions_uris": _uris(lab.allowed_extensions_uris),
            "listings_refresh_seconds": lab.listings_refresh_seconds,
        }
        config = {name: dict(lab.config[name]) for name in MANAGER_CLASSES if name in lab.config}
        level = str(config.get("PluginManager", {}).get("level", "sys_prefix"))
        return LabAdministration(
            in_thread=self._in_thread,
            app_dir=lab.app_dir,
            plugins=Plugins(lab.lock_all_plugins, level),
            manager=ExtensionManager(self._reactor, lab.extension_manager, app, policy, config),
            builder=Builder(self._reactor, app, lab.core_mode or lab.dev_mode),
            news=News(
                self._reactor,
                self._network,
                lab.news_url,
                None if "NeverCheckForUpdate" in str(lab.check_for_updates_class) else releases_of(lab.lab_package),
                application_version(lab.static_dir),
            ),
        )

    async def kind_of(self, path: str) -> str | None:
        """What lies at a path of the contents: directory, notebook, file, or None."""
        from jupyterd.errors import JupyterdError

        contents = self._contents()

        async def model(manager: Any) -> Any:
            found = manager.get(path, content=False)
            return await found if hasattr(found, "__await__") else found

        try:
            found = await contents.ask(model)
        except JupyterdError:
            return None
        except Exception as error:
            if hasattr(error, "status_code"):  # a contents manager that was written against the reference
                return None
            raise
        return str(found["type"])


def mount(root: Root, fronts: FrontEnds, render: Callable[[str], bytes]) -> None:
    """Put the front ends that are installed where browsers look for them, and the way to them at ``/``.

    :param render: renders a template.
    """

    def landing() -> Any:
        from jupyterd.frontends.landing import Landing

        return Landing(fronts.default_url, render).app.resource()

    def serves(path: str) -> bool:
        name = path.strip("/")
        found = root.find([name])
        return found is not None and found.prefix == (name,)

    fronts.serves = serves
    root.mount("/", landing, auth="", public=True, page=True, exact=True, max_body=0)
    if fronts.lab_package is None and fronts.notebook_package is None:
        return
    _mount_shared(root, fronts)
    if fronts.lab_package is not None:
        _mount_lab(root, fronts)
    if fronts.notebook_package is not None:
        _mount_notebook(root, fronts)


def mount_config(root: Root, manager: Callable[[], ConfigManager], in_thread: InThread) -> None:
    """``/api/config``: settings that front ends keep here."""

    def sections() -> Any:
        from jupyterd.config.resource import ConfigResource

        return ConfigResource(manager(), in_thread).app.resource()

    root.mount("/api/config", sections, auth="config")


def _mount_shared(root: Root, fronts: FrontEnds) -> None:
    def api() -> Any:
        return fronts.api.app.resource()

    def files() -> Any:
        from jupyterd.frontends.lab.pages import LabFiles

        app = fronts._any
        return LabFiles(fronts.assets, app, fronts._server.base_url, fronts._in_thread).app.resource()

    def custom() -> Any:
        import os

        from jupyterd.frontends.notebook import CustomFiles

        shipped = [os.path.join(fronts.notebook_package, "custom")] if fronts.notebook_package else []
        return CustomFiles(fronts.assets, [*fronts._server.static_custom_path, *shipped]).app.resource()

    root.mount("/lab/api", api, auth="", writes="config")  # a user's settings and workspaces
    root.mount(["/static/lab", "/lab/extensions", "/lab/api/themes"], files, auth="", public=True, page=True)
    root.mount("/custom", custom, auth="", page=True)


def _mount_lab(root: Root, fronts: FrontEnds) -> None:
    def pages() -> Any:
        from jupyterd.frontends.lab.pages import LabPages

        metadata = fronts.administration.manager.metadata
        return LabPages(fronts.lab, fronts.surroundings, fronts._in_thread, metadata).app.resource()

    def administration() -> Any:
        return fronts.administration.app.resource()

    root.mount(["/lab", "/doc"], pages, auth="", page=True)
    # Whoever changes the installation, or installs packages, may do anything.
    open_to_all = ["/lab/api/plugins", "/lab/api/build", "/lab/api/news", "/lab/api/update"]
    root.mount(open_to_all, administration, auth="", writes="server", exact=True)
    root.mount("/lab/api/extensions", administration, auth="server", exact=True)


def _mount_notebook(root: Root, fronts: FrontEnds) -> None:
    def pages() -> Any:
        from jupyterd.frontends.notebook import NotebookPages

        return NotebookPages(fronts.notebook, fronts.surroundings, fronts._in_thread, fronts.kind_of).app.resource()

    def files() -> Any:
        from jupyterd.frontends.notebook import NotebookFiles

        return NotebookFiles(fronts.assets, fronts.notebook.static_dir).app.resource()

    root.mount(["/tree", "/notebooks", "/edit", "/consoles", "/terminals"], pages, auth="", page=True)
    root.mount("/static/notebook", files, auth="", public=True, page=True)


def _uris(text: str) -> list[str]:
    return [uri.strip() for uri in text.split(",") if uri.strip()]
