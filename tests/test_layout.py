"""The imports are the architecture: tap → app → features → web, auth, events → leaves. Read from the source."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

HOUSE = Path(__file__).resolve().parent.parent
PACKAGE = HOUSE / "jupyterd"

LEAVES = {
    "", "compat", "config_manager", "errors", "log", "log_scrub", "log_styles", "system", "traittypes",
    "transutils", "utils",
}  # fmt: skip
MIDDLE = {"web", "auth", "events"}
FEATURES = {
    "config", "contents", "frontends", "gateway", "hub", "kernels", "kernelspecs", "nbconvert", "outputs",
    "sessions", "status", "supervision", "terminals",
}  # fmt: skip
SETTINGS = {"settings", "testing"}
"""What turns a command line and files into settings: above the features' own classes, below what builds the server."""
RANKS = [LEAVES, MIDDLE, FEATURES, SETTINGS, {"app"}, {"tap"}, {"__main__"}, {"serverapp", "singleuser"}]

NEIGHBOURS = {
    "gateway": {
        "kernels.messages.server_session",
        "kernels.channels.settings",
        "kernels.process.death",
        "kernels.process.launcher",
        "kernels.manager",
        "kernels.messages.wire",
        "kernelspecs.manager",
        "sessions.manager",
    },
    "kernels": {"kernelspecs.manager"},
    "nbconvert": {"contents.managers.sync_or_async", "contents.service"},
    "outputs": {
        "contents.operations",
        "contents.service",
        "contents.steps",
        "kernels.channels.kernel_channels",
        "kernels.kernel",
        "kernels.log",
        "kernels.messages.wire",
        "sessions.manager",
    },
    "sessions": {"kernels.manager"},
    "status": {"frontends.static_files", "kernels.manager", "terminals.manager"},
}
"""The modules of other features that a feature may know: their domain, never their HTTP."""


@dataclass(frozen=True)
class Import:
    """``importer`` (a module's dotted name) imports ``target`` (a module, or a name in one) on ``line``."""

    importer: str
    target: str
    line: int

    def __str__(self) -> str:
        return f"{self.importer}:{self.line} imports {self.target}"


def modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(path.relative_to(HOUSE).with_suffix("").parts)
        yield name.removesuffix(".__init__"), path


@cache
def imports() -> tuple[Import, ...]:
    """Each import statement of the package, those inside functions and under TYPE_CHECKING too."""
    found = []
    for importer, path in modules():
        package = importer if path.name == "__init__.py" else importer.rpartition(".")[0]
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found += [Import(importer, alias.name, node.lineno) for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                base = package.rsplit(".", node.level - 1)[0] if node.level else ""
                source = ".".join(filter(None, (base, node.module)))
                found += [Import(importer, f"{source}.{alias.name}", node.lineno) for alias in node.names]
    return tuple(found)


def part(name: str) -> str:
    """First level below the package: ``jupyterd.kernels.zeromq.sockets`` is part of ``kernels``, the package of ''."""
    words = name.split(".")
    if len(words) == 2 and not ((PACKAGE / words[1]).exists() or (PACKAGE / f"{words[1]}.py").exists()):
        return ""
    return words[1] if len(words) > 1 else ""


def rank(name: str) -> int:
    return next((i for i, row in enumerate(RANKS) if part(name) in row), -1)


def ours() -> list[Import]:
    return [i for i in imports() if i.target.split(".")[0] == "jupyterd"]


def reaches(i: Import, *packages: str) -> bool:
    """The import is of one of ``packages``, or of something in it."""
    return any(i.target == package or i.target.startswith(package + ".") for package in packages)


def shown(wrong: list[Import]) -> str:
    return "\n".join(map(str, wrong))


def test_every_module_has_its_place() -> None:
    homeless = [name for name, _ in modules() if not any(part(name) in row for row in RANKS)]
    assert homeless == []


def test_imports_run_one_way() -> None:
    wrong = [i for i in ours() if rank(i.target) > rank(i.importer)]
    assert not wrong, shown(wrong)


def test_a_feature_knows_only_its_neighbours() -> None:
    between = [i for i in ours() if {part(i.importer), part(i.target)} <= FEATURES]
    wrong = [
        i
        for i in between
        if part(i.importer) != part(i.target)
        and not reaches(i, *(f"jupyterd.{module}" for module in NEIGHBOURS.get(part(i.importer), ())))
    ]
    assert not wrong, shown(wrong)


def test_managers_know_no_http() -> None:
    managers = [i for i in imports() if i.importer.endswith(".manager")]
    wrong = [i for i in managers if reaches(i, "klein", "twisted.web", "autobahn", "jupyterd.web")]
    assert not wrong, shown(wrong)


def test_txzmq_is_imported_in_one_file() -> None:
    wrong = [i for i in imports() if reaches(i, "txzmq") and i.importer != "jupyterd.kernels.zeromq.sockets"]
    assert not wrong, shown(wrong)


def test_the_reactor_is_imported_in_tap_alone() -> None:
    importers = {i.importer for i in imports() if reaches(i, "twisted.internet.reactor")}
    assert importers <= {"jupyterd.tap", "jupyterd.__main__"}


def test_the_reference_is_not_needed() -> None:
    """Tornado's names are for classes written against it, and imported for them alone."""
    hosts = {"jupyterd.contents.managers.foreign"}
    wrong = [i for i in imports() if reaches(i, "jupyter_server", "tornado", "terminado") and i.importer not in hosts]
    assert not wrong, shown(wrong)


@pytest.mark.parametrize("module", ["twisted.plugins.jupyterd_plugin", "jupyterd.tap"])
def test_options_leave_the_choice_of_the_reactor_open(module: str) -> None:
    """The plugin and option parsing import neither the reactor nor what imports it."""
    code = f"import sys, {module}; print(*({{'twisted.internet.reactor', 'txzmq'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=HOUSE, check=True)
    assert done.stdout.split() == []
