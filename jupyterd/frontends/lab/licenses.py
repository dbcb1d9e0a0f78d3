"""Licenses of all front-end code: of the application and of each prebuilt extension, as their builds listed them."""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jupyterd.errors import Invalid
from jupyterd.frontends.federated import packages
from jupyterd.frontends.json_files import read_object
from jupyterd.system import strict_json

FILE = "third-party-licenses.json"
Bundles = dict[str, dict[str, Any]]


@dataclass
class Licenses:
    """Reads the lists; blocks."""

    static_dir: str
    extension_paths: list[str]

    def report(self, form: str, pattern: str = ".*", full_text: bool = True) -> tuple[str, str]:
        """A report and its media type.

        :param form: json, csv or markdown.
        :param pattern: a regular expression that the names of the wanted bundles begin with.
        :raises Invalid: another form, or not a regular expression.
        """
        forms: dict[str, tuple[Callable[[Bundles], str], str]] = {
            "json": (as_json, "application/json"),
            "csv": (as_csv, "text/csv"),
            "markdown": (lambda bundles: as_markdown(bundles, full_text), "text/markdown"),
        }
        if form not in forms:
            raise Invalid(f"Unsupported report format {form}.")
        try:
            wanted = re.compile(pattern)
        except re.error as error:
            raise Invalid(f"Not a pattern of bundles: {error}") from None
        write, media_type = forms[form]
        return write(self.bundles(wanted)), media_type

    def bundles(self, wanted: re.Pattern[str]) -> Bundles:
        """The licenses of each bundle, by its name."""
        found = packages(self.extension_paths)
        bundles = {name: _bundle(package["ext_path"]) for name, package in found.items() if wanted.match(name)}
        name = self._application()
        if name is not None and wanted.match(name):
            bundles[name] = _bundle(self.static_dir)
        return bundles

    def _application(self) -> str | None:
        for directory in (self.static_dir, os.path.dirname(self.static_dir)):
            name = read_object(os.path.join(directory, "package.json")).get("name")
            if isinstance(name, str):
                return name
        return None


def _bundle(directory: str) -> dict[str, Any]:
    listed: list[dict[str, Any]] = []
    for path in (os.path.join(directory, FILE), os.path.join(directory, "static", FILE)):
        found = read_object(path).get("packages")
        listed += [package for package in found if isinstance(package, dict)] if isinstance(found, list) else []
    return {"packages": listed}


def as_json(bundles: Bundles) -> str:
    """For programs."""
    return strict_json.dumps({"bundles": bundles}, indent=2, sort_keys=True)


def as_csv(bundles: Bundles) -> str:
    """For spreadsheets."""
    fields = ["name", "versionInfo", "licenseId", "extractedText"]
    out = io.StringIO()
    writer = csv.DictWriter(out, fieldnames=["bundle", *fields])
    writer.writeheader()
    for bundle, listed in bundles.items():
        for package in listed["packages"]:
            writer.writerow({"bundle": bundle, **{field: package.get(field, "") for field in fields}})
    return out.getvalue()


def as_markdown(bundles: Bundles, full_text: bool) -> str:
    """For people."""
    lines: list[str] = []
    for bundle, listed in bundles.items():
        lines += [f"# {bundle}", ""]
        if not listed["packages"]:
            lines += ["> No licenses found", ""]
        for package in listed["packages"]:
            name, version, license_id = (
                str(package.get(key) or "UNKNOWN").strip() for key in ("name", "versionInfo", "licenseId")
            )
            lines += [f"## **{name}**\t`{version}`\t{license_id}"]
            text = package.get("extractedText")
            if full_text:
                lines += ["", "<pre>", text, "</pre>", ""] if text else ["", "> No license text available", ""]
    return "\n".join(lines)
