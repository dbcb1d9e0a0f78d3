"""What the package says about itself, held against what is there."""

from __future__ import annotations

import ast
import configparser
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import jupyterd
from tests.syntax import parsed

pytestmark = pytest.mark.slow

HOUSE = Path(__file__).resolve().parent.parent.parent

# Modules by the distribution that they come from, where the names differ; those after it come with it.
FROM = {
    "OpenSSL": "twisted", "argon2": "argon2-cffi", "automat": "automat", "txaio": "autobahn",
    "jupyter_client": "jupyter-client", "jupyter_core": "jupyter-core", "jupyter_events": "jupyter-events",
    "markupsafe": "jinja2", "prometheus_client": "prometheus-client", "send2trash": "send2trash",
    "tornado": "jupyter-client",
    "werkzeug": "klein", "yaml": "jupyter-events", "zmq": "pyzmq", "zope": "zope-interface", "cryptography": "twisted",
    "hyperlink": "twisted", "constantly": "twisted", "incremental": "twisted",
}  # fmt: skip
OPTIONAL = {
    "babel",
    "json5",
    "jupyterlab",
    "jupyterlab_server",
    "notebook",
    "jupyter_server",
    "jupyter_lsp",
    "jupytext",
    "psutil",
    "ipykernel",
}
"""Asked for where they are used, and done without."""


def setup() -> configparser.ConfigParser:
    parsed = configparser.ConfigParser()
    parsed.read(HOUSE / "setup.cfg")
    return parsed


def required() -> set[str]:
    lines = setup()["options"]["install_requires"].split("\n")
    return {str(canonicalize_name(Requirement(line).name)) for line in lines if line.strip()}


def imported() -> set[str]:
    found = set()
    for path in (HOUSE / "jupyterd").rglob("*.py"):
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.split(".")[0])
    return found - set(sys.stdlib_module_names) - {"jupyterd"} - OPTIONAL


def test_what_is_imported_is_required() -> None:
    distributions = {str(canonicalize_name(FROM.get(module, module))) for module in imported()}
    assert distributions - required() == set()


def test_what_is_required_is_imported() -> None:
    distributions = {str(canonicalize_name(FROM.get(module, module))) for module in imported()}
    assert required() - distributions == set()


def test_the_plugin_directory_is_no_package() -> None:
    assert not (HOUSE / "twisted" / "__init__.py").exists()
    assert not (HOUSE / "twisted" / "plugins" / "__init__.py").exists()


def test_every_package_has_its_init() -> None:
    """One without would be left out by no test here, and by other tools elsewhere."""
    directories = {path.parent for path in (HOUSE / "jupyterd").rglob("*.py")}
    assert [str(path) for path in sorted(directories) if not (path / "__init__.py").exists()] == []


def test_the_version_is_one() -> None:
    from packaging.version import Version

    assert str(Version(jupyterd.__version__)) == jupyterd.__version__


def test_the_commands_of_the_jupyter_server_and_its_front_ends_stay_what_they_are() -> None:
    lines = setup()["options.entry_points"]["console_scripts"].split("\n")
    names = {line.partition("=")[0].strip() for line in lines if "=" in line}
    assert names == {"jupyterd", "jupyterd-singleuser", "jupyter-jupyterd"}
