"""Language packs of JupyterLab: packages that bring translations, found by entry point, as JSON and ``.mo`` files."""

from __future__ import annotations

import gettext
import locale
import os
import re
from functools import lru_cache
from importlib.metadata import entry_points
from importlib.util import find_spec
from typing import Any

from twisted.logger import Logger

from jupyterd.system import strict_json

PSEUDO_LANGUAGE = "ach_UG"
ENGLISH = "en"
I18N = "jupyter.lab.internationalization"
log = Logger()

# What of a schema people read → the context of its translation.
# Source: JupyterLab's documentation, "Internationalization".
SELECTORS = {
    "properties/.*/title": "settings",
    "properties/.*/description": "settings",
    "definitions/.*/properties/.*/title": "settings",
    "definitions/.*/properties/.*/description": "settings",
    "title": "schema",
    "description": "schema",
    r"jupyter\.lab\.setting-icon-label": "settings",
    r"jupyter\.lab\.menus/.*/label": "menu",
    r"jupyter\.lab\.toolbars/.*/label": "toolbar",
}


class Translations:
    """The installed language packs; everything here reads files, and blocks."""

    def usable(self, wanted: str | None) -> str:
        """The language to use where a user wants ``wanted``: that, the system's, or English."""
        chosen = wanted or "default"
        if chosen == "default":
            chosen = system_locale()
        return chosen if chosen == PSEUDO_LANGUAGE or is_locale(chosen) else ENGLISH

    def packs(self, shown_in: str) -> tuple[dict[str, Any], str]:
        """The languages there are, with their names in ``shown_in`` and in themselves; and a message for people."""
        found, message = _directories("jupyterlab.languagepack")
        if message:
            return {}, message
        valid = [name for name in found if is_locale(name)]
        pseudo = shown_in == PSEUDO_LANGUAGE
        shown = shown_in if shown_in in valid else ENGLISH
        english = "Default" if pseudo else display_name(ENGLISH, shown)
        packs = {ENGLISH: {"displayName": english, "nativeName": display_name(ENGLISH, ENGLISH)}}
        for name in valid:
            packs[name] = {"displayName": display_name(name, shown), "nativeName": display_name(name, name)}
        if PSEUDO_LANGUAGE in found and PSEUDO_LANGUAGE not in valid:
            native = "Pseudo-language" if pseudo else "to translate the UI"
            packs[PSEUDO_LANGUAGE] = {"displayName": "Pseudo-language", "nativeName": native}
        bad = [name for name in found if name not in packs]
        return packs, f"The following locales are invalid: {bad}!" if bad else ""

    def pack(self, name: str) -> tuple[dict[str, Any], str]:
        """All translations into a language, by package; and a message for people."""
        if name == "default":
            name = system_locale()
        found, message = _directories("jupyterlab.languagepack")
        of_packages, trouble = _of_packages(name)
        data: dict[str, Any] = {}
        message = "\n".join(text for text in (message, trouble) if text)
        if name in found and (name == PSEUDO_LANGUAGE or is_locale(name)):
            for path in _json_below(found[name]):
                domain = os.path.basename(path).removesuffix(".json")
                data[domain] = newer(_read(path), of_packages.get(domain, {}))
            data = {**of_packages, **data}
        if not data and not message:
            wrong = "not installed" if is_locale(name) else "not valid"
            message = f"Language pack '{name}' {wrong}!"
        return data, message

    def schema(self, schema: dict[str, Any], to: str) -> dict[str, Any]:
        """A settings schema with what people read in it translated."""
        if to == ENGLISH or to.startswith("en_") or _mo_directory(to) is None:
            return schema
        internationalization = schema.get(I18N, {})
        domain = internationalization.get("domain", "jupyterlab").replace("-", "_")
        texts = gettext.translation(domain, _mo_directory(to), languages=[to], fallback=True)
        patterns = {**SELECTORS, **dict.fromkeys(internationalization.get("selectors", ()), "schema")}
        compiled = [(re.compile(f"/{pattern}"), context) for pattern, context in patterns.items()]
        return _translated(schema, "", compiled, texts)  # type: ignore[no-any-return]


def _translated(value: Any, path: str, patterns: list[Any], texts: gettext.NullTranslations) -> Any:
    if isinstance(value, dict):
        return {key: _translated(item, f"{path}/{key}", patterns, texts) for key, item in value.items()}
    if isinstance(value, list):
        return [
            _translated(item, f"{path}[{index}]", patterns, texts) if isinstance(item, dict) else item
            for index, item in enumerate(value)
        ]
    if isinstance(value, str) and value:
        context = next((context for pattern, context in patterns if pattern.fullmatch(path)), None)
        return value if context is None else texts.pgettext(context, value)
    return value


def system_locale() -> str:
    """The language that the daemon's environment asks for."""
    return locale.getlocale()[0] or ENGLISH


@lru_cache(maxsize=256)
def is_locale(name: str) -> bool:
    """A language with an optional territory, ``pt_BR``."""
    import babel

    if name == "no_NO":  # Norwegian, which Babel does not know under this name
        return True
    try:
        babel.Locale.parse(name)
    except (babel.UnknownLocaleError, ValueError, TypeError):
        return False
    return True


def display_name(name: str, shown_in: str) -> str:
    """A language's name in another language, with a capital."""
    import babel

    try:
        text = babel.Locale.parse(name).get_display_name(shown_in) or name
    except (babel.UnknownLocaleError, ValueError):
        text = name
    return text[:1].upper() + text[1:]


def newer(pack: dict[str, Any], package: dict[str, Any]) -> dict[str, Any]:
    """Translations of a language pack, with those of the package itself over them where they are of a later version."""
    from packaging.version import InvalidVersion, Version

    of_pack, of_package = pack.get("", {}), package.get("", {})
    try:
        later = Version(of_package["version"]) > Version(of_pack["version"])
    except (KeyError, TypeError, InvalidVersion):
        return pack
    return {**pack, **package} if later and of_pack.get("domain") == of_package.get("domain") else pack


def _directories(group: str) -> tuple[dict[str, str], str]:
    """The directory of each package in a group of entry points, by the entry's name; nothing is imported."""
    found: dict[str, str] = {}
    messages = []
    for entry in entry_points(group=group):
        try:
            spec = find_spec(entry.value.partition(":")[0])
        except (ImportError, ValueError) as error:
            messages.append(f"{entry.name}: {error}")
            continue
        if spec is not None and spec.origin is not None:
            found[entry.name] = os.path.dirname(spec.origin)
        else:
            messages.append(f"{entry.name}: no module named {entry.value}")
    return found, "\n".join(messages)


def _of_packages(name: str) -> tuple[dict[str, Any], str]:
    """Translations that extensions bring themselves."""
    found, message = _directories("jupyterlab.locale")
    data = {}
    for package, directory in found.items():
        path = os.path.join(_language_below(os.path.join(directory, "locale"), name), "LC_MESSAGES", f"{package}.json")
        if os.path.isfile(path):
            data[package] = _read(path)
    return data, message


def _language_below(directory: str, name: str) -> str:
    """The directory of a language, whatever its case."""
    try:
        names = os.listdir(directory)
    except OSError:
        names = []
    return os.path.join(directory, next((each for each in names if each.lower() == name.lower()), name))


def _json_below(directory: str) -> list[str]:
    return sorted(
        os.path.join(parent, file)
        for parent, _, files in os.walk(directory)
        for file in files
        if file.endswith(".json")
    )


def _read(path: str) -> dict[str, Any]:
    try:
        with open(path, "rb") as file:
            value = strict_json.loads(file.read())
        if isinstance(value, dict):
            return value
        error: Exception = ValueError("not an object")
    except (OSError, ValueError) as failure:
        error = failure
    log.warn("skipping {path}: {error}", path=path, error=error)
    return {}


def _mo_directory(name: str) -> str | None:
    if not name.replace("_", "").isalnum():
        return None
    try:
        spec = find_spec(f"jupyterlab_language_pack_{name}")
    except (ImportError, ValueError):
        return None
    return os.path.join(os.path.dirname(spec.origin), "locale") if spec is not None and spec.origin else None
