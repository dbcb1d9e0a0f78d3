"""JupyterLab's own REST: settings, workspaces, translations, licenses, listings, plugins, extensions, build, news."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from jupyterd.errors import Failed, Invalid
from jupyterd.frontends.lab.extension_manager import Builder, ExtensionManager, has_source_extensions
from jupyterd.frontends.lab.licenses import Licenses
from jupyterd.frontends.lab.listings import PATH, Listings
from jupyterd.frontends.lab.news import News
from jupyterd.frontends.lab.plugin_settings import PluginSettings
from jupyterd.frontends.lab.plugins import Plugins
from jupyterd.frontends.lab.translations import Translations
from jupyterd.frontends.lab.workspaces import Workspaces
from jupyterd.frontends.settings import LabServerApp
from jupyterd.system.threads import InThread
from jupyterd.web.api import Routes, json_api
from jupyterd.web.call import Call, Reply, encode


@dataclass
class LabAPI:
    """``/lab/api``, for JupyterLab and for Notebook."""

    app = Routes()
    api = json_api(app)

    lab: LabServerApp
    in_thread: InThread
    settings: PluginSettings
    workspaces: Workspaces
    translations: Translations
    licenses: Licenses
    listings: Listings

    # -- settings

    @api("GET", "/lab/api/settings")
    @api("GET", "/lab/api/settings/")
    async def list_settings(self, call: Call) -> object:
        """All plugins' schemas and settings; with ``ids_only=true`` their names alone."""
        if call.arg("ids_only") == "true":
            return {"settings": [{"id": name} for name in await self.in_thread(self.settings.names)]}
        # Half a megabyte and more: it is encoded where it is read.
        return Reply(await self.in_thread(lambda: encode({"settings": self.settings.list()})))

    @api("GET", "/lab/api/settings/<path:name>")
    async def get_settings(self, call: Call, name: str) -> object:
        """One plugin's schema and settings."""
        return await self.in_thread(self.settings.get, name)

    @api("PUT", "/lab/api/settings", status=204)
    @api("PUT", "/lab/api/settings/", status=204)
    @api("PUT", "/lab/api/settings/<path:name>", status=204)
    async def put_settings(self, call: Call, name: str = "") -> None:
        """Keep what a user has written: ``{"raw": "..."}``."""
        try:
            raw = json.loads(call.body())["raw"]
        except (ValueError, RecursionError) as error:
            raise Invalid(f"Failed parsing JSON payload: {error}") from None
        except (KeyError, TypeError):
            raise Invalid("Invalid format for JSON payload. Must be in the form {'raw': ...}") from None
        if not self.settings.settings_dir:
            raise Failed("No current settings directory")
        await self.in_thread(self.settings.save, name, raw)

    # -- workspaces

    @api("GET", "/lab/api/workspaces")
    @api("GET", "/lab/api/workspaces/")
    async def list_workspaces(self, call: Call) -> object:
        """All workspaces."""
        found = await self.in_thread(self.workspaces.list)
        return {"workspaces": {"ids": [each["metadata"]["id"] for each in found], "values": found}}

    @api("GET", "/lab/api/workspaces/<path:name>")
    async def get_workspace(self, call: Call, name: str) -> object:
        """One workspace; an empty one where it is new."""
        return await self.in_thread(self.workspaces.get, name)

    @api("PUT", "/lab/api/workspaces", status=204)
    @api("PUT", "/lab/api/workspaces/", status=204)
    @api("PUT", "/lab/api/workspaces/<path:name>", status=204)
    async def put_workspace(self, call: Call, name: str = "") -> None:
        """Keep a workspace."""
        if not name:
            raise Invalid("Workspace name is required for PUT.")
        try:
            text = call.body().strip().decode()
        except UnicodeDecodeError:
            raise Invalid("A workspace is UTF-8") from None
        await self.in_thread(self.workspaces.save, name, text)

    @api("DELETE", "/lab/api/workspaces", status=204)
    @api("DELETE", "/lab/api/workspaces/", status=204)
    @api("DELETE", "/lab/api/workspaces/<path:name>", status=204)
    async def delete_workspace(self, call: Call, name: str = "") -> None:
        """Forget a workspace."""
        if not name:
            raise Invalid("Workspace name is required for DELETE")
        await self.in_thread(self.workspaces.delete, name)

    # -- languages

    @api("GET", "/lab/api/translations")
    @api("GET", "/lab/api/translations/")
    async def language_packs(self, call: Call) -> object:
        """The languages there are."""
        data, message = await self.in_thread(lambda: self.translations.packs(self.settings.locale()))
        return {"data": data, "message": message}

    @api("GET", "/lab/api/translations/<name>")
    async def language_pack(self, call: Call, name: str) -> object:
        """All translations into one language."""
        data, message = await self.in_thread(self.translations.pack, name)
        return {"data": data, "message": message}

    # -- about extensions

    @api("GET", "/lab/api/licenses")
    @api("GET", "/lab/api/licenses/")
    async def list_licenses(self, call: Call) -> Reply:
        """Licenses of all front-end code: ``format``, ``bundles``, ``full_text``, ``download``."""
        full_text, download = _flag(call, "full_text", "true"), _flag(call, "download", "0")
        form = call.arg("format") or "json"
        text, media_type = await self.in_thread(self.licenses.report, form, call.arg("bundles") or ".*", full_text)
        headers = {}
        if download:
            ending = {"text/markdown": ".md", "text/csv": ".csv"}.get(media_type, ".json")
            name = quote(f"{self.lab.app_name.lower()}-licenses{ending}")
            headers["Content-Disposition"] = f"attachment; filename*=utf-8''{name}"
        return Reply(text.encode(), media_type, headers=headers)

    @api("GET", "/lab/api/listings/<path:path>")
    @api("GET", "/lab/api/listings/")
    async def list_listings(self, call: Call, path: str = "") -> object:
        """Extensions that are blocked or allowed."""
        if path != PATH:
            raise Invalid
        return await self.listings.get()


@dataclass
class LabAdministration:
    """``/lab/api/plugins``, ``/lab/api/extensions``, ``/lab/api/build``, ``/lab/api/news``, ``/lab/api/update``."""

    app = Routes()
    api = json_api(app)

    in_thread: InThread
    app_dir: str
    plugins: Plugins
    manager: ExtensionManager
    builder: Builder
    news: News

    @api("GET", "/lab/api/plugins")
    async def plugin_locks(self, call: Call) -> object:
        """Which plugins are locked."""
        return await self.in_thread(self.plugins.locks)

    @api("POST", "/lab/api/plugins", status=201)
    async def switch_plugin(self, call: Call) -> object:
        """Switch a plugin: ``{"cmd": "enable" | "disable", "plugin_name": ...}``."""
        command, name, _ = await _instruction(call, "plugin_name")
        if command not in ("enable", "disable") or not name:
            return _unprocessable(f"Could not process instruction {command!r} with plugin name {name!r}")
        return await self._switch(call, name, command == "enable")

    @api("GET", "/lab/api/extensions")
    async def list_extensions(self, call: Call) -> object:
        """Installed extensions, or those that match ``query``."""
        query = call.arg("query")
        page, per_page = max(1, _number(call, "page", 1)), min(100, max(1, _number(call, "per_page", 30)))
        found, last = await self.manager.list(query, page, per_page)
        if last is not None:
            call.set_header("Link", _links(call, {"per_page": per_page, "query": query}, page, last))
        return found

    @api("POST", "/lab/api/extensions", status=201)
    async def change_extension(self, call: Call) -> object:
        """Install, uninstall, enable or disable an extension."""
        command, name, version = await _instruction(call, "extension_name")
        if command not in ("install", "uninstall", "enable", "disable") or not name:
            return _unprocessable(f"Could not process instruction {command!r} with extension name {name!r}")
        if command in ("enable", "disable"):
            return await self._switch(call, name, command == "enable")
        result = await self.manager.act(command, name, version)
        if result is None:
            return _unprocessable(f"{command.capitalize()} of {name!r} was blocked, check the logs.")
        call.status = 500 if result["status"] == "error" else 201
        return result

    async def _switch(self, call: Call, name: str, on: bool) -> object:
        result = await self.in_thread(self.plugins.switch, name, on)
        call.status = 500 if result["status"] == "error" else 201
        return result

    @api("GET", "/lab/api/build")
    async def build_status(self, call: Call) -> object:
        """Whether JupyterLab needs a build."""
        return await self.builder.status(await self.in_thread(has_source_extensions, self.app_dir))

    @api("POST", "/lab/api/build")
    async def build(self, call: Call) -> object:
        """Build JupyterLab."""
        await self.builder.build()
        return Reply(b"", "application/json")

    @api("DELETE", "/lab/api/build", status=204)
    async def cancel_build(self, call: Call) -> None:
        """End the build under way."""
        self.builder.cancel()

    @api("GET", "/lab/api/news")
    async def list_news(self, call: Call) -> object:
        """News of JupyterLab's makers."""
        return {"news": await self.news.news()}

    @api("GET", "/lab/api/update")
    async def update(self, call: Call) -> object:
        """Whether there is a newer JupyterLab."""
        return {"notification": await self.news.update()}


async def _instruction(call: Call, key: str) -> tuple[Any, str, str | None]:
    body = await call.json_object()
    if "cmd" not in body or key not in body:
        raise Invalid(f"The request body needs cmd and {key}")
    name, version = body[key], body.get("extension_version")
    if not isinstance(name, str) or not (version is None or isinstance(version, str)):
        raise Invalid(f"{key} and extension_version are strings")
    return body["cmd"], name, version


def _unprocessable(message: str) -> Reply:
    return Reply(encode({"message": message, "reason": None}), status=422)


def _flag(call: Call, name: str, default: str) -> bool:
    try:
        return bool(json.loads(call.arg(name) or default))
    except (ValueError, RecursionError):
        raise Invalid(f"{name} is true or false") from None


def _number(call: Call, name: str, default: int) -> int:
    try:
        return int(call.arg(name) or default)
    except ValueError:
        raise Invalid(f"{name} is a number") from None


def _links(call: Call, arguments: dict[str, Any], page: int, last: int) -> str:
    """Pages around this one. Source: RFC 8288."""
    pages = {"last": last, "first": 1}
    if page > 1:
        pages["prev"] = page - 1
    if page < last:
        pages["next"] = page + 1
    query = {name: value for name, value in arguments.items() if value is not None}
    path = f"{call.base_url.rstrip('/')}{call.path}"
    return ", ".join(f'<{path}?{urlencode({"page": number, **query})}>; rel="{rel}"' for rel, number in pages.items())
