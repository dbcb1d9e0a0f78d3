"""Settings of front-end plugins: schemas of packages, defaults of operators, and what users have written.

Users' settings are JSON with comments (``<plugin>.jupyterlab-settings``); they are kept as they were written.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from datetime import datetime, timezone
from glob import glob
from typing import Any

from twisted.logger import Logger

from jupyterd.config_manager import recursive_update
from jupyterd.errors import Failed, Invalid, NotFound
from jupyterd.frontends.federated import read_json5
from jupyterd.frontends.json_files import glob_escape, layered, read_object, replace
from jupyterd.frontends.lab.translations import Translations
from jupyterd.system import strict_json

ENDING = ".jupyterlab-settings"
LOCALE_PLUGIN = "@jupyterlab/translation-extension:plugin"


class NoSuchSettings(NotFound):
    """No plugin has that name."""


@dataclass(frozen=True)
class Schema:
    """A plugin's schema as it lies on disk.

    :ivar directory: of all schemas that came with it.
    """

    path: str
    directory: str


@dataclass
class PluginSettings:
    """The settings of one application; everything here reads or writes files, and blocks.

    :param settings_dir: users' settings.
    :param extension_paths: directories of prebuilt extensions; their schemas win over the application's.
    """

    app_settings_dir: str
    schemas_dir: str
    settings_dir: str
    extension_paths: list[str]
    translations: Translations
    log = Logger()

    def names(self) -> list[str]:
        """The names of all plugins with settings, as clients are told them: last one first."""
        return sorted(self._all(), reverse=True)

    def list(self) -> list[dict[str, Any]]:
        """All plugins with schemas and settings."""
        overrides, found, locale = self.overrides(), self._all(), self.locale()
        models = []
        for name in sorted(found, reverse=True):
            try:
                models.append({**self._model(name, found[name], overrides, locale), "warning": None})
            except Failed as error:
                # One broken schema of an extension must not take the settings of all others away.
                self.log.warn("{error}", error=error.message)
                bare = self._without_what_was_written(name, found[name], overrides, locale)
                models += [{**bare, "warning": error.message}] if bare else []
        return models

    def _without_what_was_written(
        self, name: str, found: Schema, overrides: dict[str, Any], locale: str
    ) -> dict[str, Any]:
        """A plugin as if its user had written nothing; empty where it is the schema that is broken."""
        try:
            schema = self.translations.schema(self._schema(name, found, overrides), locale)
        except Failed:
            return {}
        return {"id": name, "schema": schema, "version": _version_beside(found.path), **_nothing()}

    def get(self, name: str, locale: str | None = None) -> dict[str, Any]:
        """One plugin's schema and settings.

        :raises NoSuchSettings: no plugin has that name.
        :raises Failed: its files can not be understood.
        """
        return self._model(name, self._find(name), self.overrides(), self.locale() if locale is None else locale)

    def save(self, name: str, raw: Any) -> None:
        """Keep what a user has written.

        :param raw: JSON with comments.
        :raises Invalid: it is not that, or the plugin's schema does not allow it.
        :raises NoSuchSettings: no plugin has that name.
        """
        from jsonschema import Draft7Validator, ValidationError

        try:
            raw.encode()
            settings = parse(raw)
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            raise Invalid(f"Failed parsing settings: {error}") from None
        schema = self._schema(name, self._find(name), self.overrides())
        try:
            Draft7Validator(schema).validate(settings)
        except ValidationError as error:
            raise Invalid(f"Failed validating input: {error}") from None
        replace(self._user_file(name), raw)

    def locale(self) -> str:
        """The language that the user has chosen, else the system's."""
        try:
            model = self.get(LOCALE_PLUGIN, locale="en")
        except (NotFound, Failed):
            return self.translations.usable(None)
        return self.translations.usable(model["settings"].get("locale"))

    def overrides(self) -> dict[str, Any]:
        """Defaults of operators, by plugin: ``overrides.d/*``, ``overrides.json[5]``, then ``labconfig``."""
        directory = glob_escape(self.app_settings_dir)
        paths = sorted(glob(os.path.join(directory, "overrides.d", "*.json")))
        paths += glob(os.path.join(directory, "overrides.d", "*.json5"))
        paths = [
            *sorted(paths),
            *(os.path.join(self.app_settings_dir, f"overrides.{end}") for end in ("json", "json5")),
        ]
        overrides: dict[str, Any] = {}
        for path in paths:
            if os.path.isfile(path):
                recursive_update(overrides, read_json5(path) if path.endswith("5") else read_object(path))
        recursive_update(overrides, layered("default_setting_overrides"))
        return overrides

    # -- files

    def _all(self) -> dict[str, Schema]:
        found: dict[str, Schema] = {}
        for directory in self.extension_paths:
            pattern = os.path.join(glob_escape(directory), "**", "schemas", "**", "*.json")
            for path in sorted(glob(pattern, recursive=True)):
                parent, _, rest = path.replace(os.sep, "/").rpartition("/schemas/")
                found.setdefault(_name_of(rest), Schema(path, parent + "/schemas"))
        if not os.path.isdir(self.schemas_dir):
            self.log.warn("there are no settings schemas at {path}", path=self.schemas_dir)
            return {}
        for path in glob(os.path.join(glob_escape(self.schemas_dir), "**", "*.json"), recursive=True):
            name = _name_of(os.path.relpath(path, self.schemas_dir).replace(os.sep, "/"))
            found.setdefault(name, Schema(path, self.schemas_dir))
        return found

    def _find(self, name: str) -> Schema:
        package, plugin = _split(name)
        for directory in self.extension_paths:
            schemas = os.path.join(directory, package, "schemas")
            path = os.path.join(schemas, package, plugin + ".json")
            if os.path.isfile(path):
                return Schema(path, schemas)
        path = os.path.join(self.schemas_dir, package, plugin + ".json")
        if not os.path.isfile(path):
            raise NoSuchSettings(f"Schema not found: {path}")
        return Schema(path, self.schemas_dir)

    def _user_file(self, name: str) -> str:
        package, plugin = _split(name)
        return os.path.join(self.settings_dir, package, plugin + ENDING)

    def _model(self, name: str, found: Schema, overrides: dict[str, Any], locale: str) -> dict[str, Any]:
        schema = self._schema(name, found, overrides)
        written = self._written(name, schema)
        schema = self.translations.schema(schema, locale)
        return {"id": name, "schema": schema, "version": _version_beside(found.path), **written}

    def _schema(self, name: str, found: Schema, overrides: dict[str, Any]) -> dict[str, Any]:
        try:
            with open(found.path, "rb") as file:
                schema = strict_json.loads(file.read())
            properties = schema.setdefault("properties", {})
        except (OSError, ValueError, AttributeError) as error:
            raise Failed(f"Failed parsing schema ({name}): {error}") from None
        told = overrides.get(name)
        if not isinstance(properties, dict):
            raise Failed(f"Failed parsing schema ({name}): its properties are no object")
        for key, value in told.items() if isinstance(told, dict) else ():
            if not isinstance(properties.get(key, {}), dict):
                continue
            default = properties.get(key, {}).get("default")
            if isinstance(default, dict) and isinstance(value, dict):
                recursive_update(default, value)
            else:
                properties.setdefault(key, {})["default"] = value
        return schema  # type: ignore[no-any-return]

    def _written(self, name: str, schema: dict[str, Any]) -> dict[str, Any]:
        """What the user has written; as if nothing, where the schema does not allow it."""
        path = self._user_file(name)
        nothing = _nothing()
        try:
            status = os.stat(path)
            with open(path, encoding="utf-8") as file:
                raw = file.read() or "{}"
        except FileNotFoundError:
            return nothing
        except (OSError, ValueError) as error:
            raise Failed(f"Failed loading settings ({name}): {error}") from None
        times = {"last_modified": _when(status.st_mtime), "created": _when(status.st_ctime)}
        settings = self._checked(name, raw, schema)
        return {"raw": raw, "settings": settings, **times} if settings else {**nothing, **times}

    def _checked(self, name: str, raw: str, schema: dict[str, Any]) -> Any:
        try:
            settings = parse(raw)
        except (ValueError, RecursionError) as error:
            raise Failed(f"Failed loading settings ({name}): {error}") from None
        if not settings:
            return settings
        from jsonschema import Draft7Validator, SchemaError, ValidationError

        try:
            Draft7Validator(schema).validate(settings)
        except (ValidationError, SchemaError) as error:
            self.log.warn("Failed validating settings ({name}): {error}", name=name, error=error.message)
            return {}
        return settings


def _nothing() -> dict[str, Any]:
    return {"raw": "{}", "settings": {}, "last_modified": None, "created": None}


def parse(raw: str) -> Any:
    """JSON with comments; without them it is read much faster.

    :raises ValueError: it is neither.
    """
    try:
        try:
            return json.loads(raw)
        except ValueError:
            import json5

            return json5.loads(raw)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _split(name: str) -> tuple[str, str]:
    """Package and plugin of a name like ``@scope/package:plugin``.

    :raises NoSuchSettings: not such a name; a name never leads out of its directory.
    """
    package, colon, plugin = name.partition(":")
    parts = [*package.split("/"), plugin]
    if not colon or ":" in plugin or "/" in plugin or os.sep in plugin or "\0" in name:
        raise NoSuchSettings(f"Settings not found ({name})")
    if any(part in ("", ".", "..") or "\\" in part for part in parts):
        raise NoSuchSettings(f"Settings not found ({name})")
    return package, plugin


def _name_of(relative: str) -> str:
    package, _, file = relative.rpartition("/")
    return f"{package}:{file.removesuffix('.json')}"


def _version_beside(path: str) -> str:
    package = os.path.join(os.path.dirname(path), "package.json.orig")
    return str(read_object(package).get("version", "N/A"))


def _when(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, tz=timezone.utc).isoformat()
