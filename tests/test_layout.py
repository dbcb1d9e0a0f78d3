"""The imports are the architecture: tap → app → features → web, auth, events → leaves. Read from the source."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from jupyterd.compat.class_names import CLASSES, FORMER, STOCK
from jupyterd.compat.module_shims import MODULES
from tests.syntax import parsed

HOUSE = Path(__file__).resolve().parent.parent
PACKAGE = HOUSE / "jupyterd"

MAX_IN_A_FOLDER = 16
OURS = re.compile(r"jupyterd(\.\w+)+")

LEAVES = {
    "", "compat", "config_manager", "errors", "keeper", "log", "log_config", "log_scrub", "log_styles", "system",
    "traittypes", "transutils", "utils",
}  # fmt: skip
MIDDLE = {"web", "auth", "events"}
FEATURES = {
    "config", "contents", "dashboard", "extensions", "frontends", "gateway", "hub", "kernels",
    "kernelspecs", "nbconvert", "outputs", "sessions", "state", "status", "supervision", "terminals",
}  # fmt: skip
SETTINGS = {"commands", "settings", "testing"}
"""What turns a command line and files into settings: above the features' own classes, below what builds the server."""
TOP = [{"app"}, {"tap"}, {"foreground"}, {"__main__"}, {"embedding"}, {"serverapp", "singleuser", "extension_host"}]
RANKS = [LEAVES, MIDDLE, FEATURES, SETTINGS, *TOP]

NEIGHBOURS = {
    "extensions": {
        "contents.managers.sync_or_async",
        "contents.service",
        "frontends.static_files",
        "kernels.manager",
        "kernelspecs.manager",
    },
    "commands": {
        "extensions.discovery",
        "supervision.handover.kept_servers",
        "supervision.handover.restart_command",
        "supervision.running_servers",
    },
    "gateway": {
        "kernels.messages.server_session",
        "kernels.channels.settings",
        "kernels.process.death",
        "kernels.process.launcher_interface",
        "kernels.manager",
        "kernels.messages.websocket_codec",
        "kernels.zeromq.network",
        "kernelspecs.manager",
        "sessions.manager",
    },
    "kernels": {"kernelspecs.manager", "state.keeper_link", "state.kept_child", "state.surviving", "state.store"},
    "nbconvert": {"contents.managers.sync_or_async", "contents.service"},
    "outputs": {
        "contents.operations",
        "contents.service",
        "contents.notebook_steps",
        "kernels.channels.executions",
        "kernels.channels.kernel_channels",
        "kernels.kernel",
        "kernels.log",
        "kernels.messages.websocket_codec",
        "sessions.manager",
        "state.store",
    },
    "sessions": {"kernels.manager"},
    "supervision": {"state.directory"},
    "terminals": {"state.kept_child", "state.surviving", "state.store"},
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


@cache
def modules() -> tuple[tuple[str, Path], ...]:
    """Each module's dotted name and file."""
    found = [(".".join(path.relative_to(HOUSE).with_suffix("").parts), path) for path in sorted(PACKAGE.rglob("*.py"))]
    return tuple((name.removesuffix(".__init__"), path) for name, path in found)


@cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    """All of a module's syntax tree."""
    return tuple(ast.walk(parsed(path)))


@cache
def imports() -> tuple[Import, ...]:
    """Each import statement of the package, those inside functions and under TYPE_CHECKING too."""
    found = []
    for importer, path in modules():
        package = importer if path.name == "__init__.py" else importer.rpartition(".")[0]
        for node in nodes(path):
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


def module_of(name: str) -> str:
    """The module that a dotted name lies in: the longest of its beginnings that is one."""
    known = {module for module, _ in modules()}
    while name and name not in known:
        name = name.rpartition(".")[0]
    return name


@cache
def graph() -> dict[str, set[str]]:
    """Which modules each module imports, at any place in it, for type hints too."""
    found: dict[str, set[str]] = {name: set() for name, _ in modules()}
    for each in ours():
        target = module_of(each.target)
        if target not in ("", "jupyterd", each.importer):
            found[each.importer].add(target)
    return found


def circles(edges: dict[str, set[str]]) -> list[list[str]]:
    """What is left when all that imports nothing, or nothing that is left, has been taken away from both ends."""
    left = {name: set(targets) for name, targets in edges.items()}
    while ends := [name for name, targets in left.items() if not targets & left.keys()]:
        for name in ends:
            del left[name]
    return [[name, *sorted(targets & left.keys())] for name, targets in sorted(left.items())]


def shown(wrong: list[Import]) -> str:
    return "\n".join(map(str, wrong))


def test_every_module_has_its_place() -> None:
    homeless = [name for name, _ in modules() if not any(part(name) in row for row in RANKS)]
    assert homeless == []


def test_imports_run_one_way() -> None:
    wrong = [i for i in ours() if rank(i.target) > rank(i.importer)]
    assert not wrong, shown(wrong)


def test_a_feature_knows_only_its_neighbours() -> None:
    between = [i for i in ours() if {part(i.importer), part(i.target)} <= FEATURES | {"commands"}]
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
    assert importers <= {"jupyterd.tap"}


def test_the_reference_is_not_needed() -> None:
    """Tornado's names are for classes written against it, and imported for them alone."""
    hosts = {"jupyterd.contents.managers.foreign"}
    wrong = [
        i
        for i in imports()
        if reaches(i, "jupyter_server", "tornado", "terminado")
        and i.importer not in hosts
        and part(i.importer) != "extension_host"
    ]
    assert not wrong, shown(wrong)


def test_nothing_of_the_daemon_imports_the_extension_host() -> None:
    wrong = [i for i in imports() if reaches(i, "jupyterd.extension_host") and part(i.importer) != "extension_host"]
    assert not wrong, shown(wrong)


def test_the_keeper_is_a_program_of_its_own() -> None:
    """It imports the standard library and pyzmq; the daemon imports of it what both sides have to know."""
    inside = [i for i in imports() if part(i.importer) == "keeper"]
    allowed = set(sys.stdlib_module_names) | {"zmq"}
    wrong = [i for i in inside if i.target.split(".")[0] not in allowed and part(i.target) != "keeper"]
    shared = {"wire", "record", "screen_file", "processes", "taken", "start_keeper"}
    wrong += [
        i
        for i in ours()
        if part(i.target) == "keeper" and part(i.importer) != "keeper" and i.target.split(".")[2] not in shared
    ]
    assert not wrong, shown(wrong)


@pytest.mark.parametrize("module", ["twisted.plugins.jupyterd_plugin", "jupyterd.tap"])
def test_options_leave_the_choice_of_the_reactor_open(module: str) -> None:
    """The plugin and option parsing import neither the reactor nor what imports it."""
    code = f"import sys, {module}; print(*({{'twisted.internet.reactor', 'txzmq'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=HOUSE, check=True)
    assert done.stdout.split() == []


def test_there_is_no_circle() -> None:
    """Neither at import time nor of imports inside functions nor of type hints."""
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set()}) == [["a", "b"], ["b", "c"], ["c", "b"]]
    assert circles(graph()) == []


def test_a_folder_can_be_taken_in_at_a_glance() -> None:
    folders = Counter(path.parent for _, path in modules() if path.parent != PACKAGE)
    large = {str(folder.relative_to(HOUSE)): count for folder, count in folders.items() if count > MAX_IN_A_FOLDER}
    assert large == {}


def strings() -> Iterator[tuple[str, int, str]]:
    """Module, line and text of each string in the package that is a dotted name of ours, as a whole."""
    for module, path in modules():
        for node in nodes(path):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and OURS.fullmatch(node.value):
                yield module, node.lineno, node.value


def resolves(name: str) -> bool:
    """The name is a module's, or is to be found in one."""
    module = module_of(name)
    rest = name[len(module) + 1 :]
    if not rest:
        return True
    found: Any = importlib.import_module(module)
    for word in rest.split("."):
        found = getattr(found, word, None)
    return found is not None


def test_names_in_strings_lead_somewhere() -> None:
    found = [(module, line, name) for module, line, name in strings() if name.rpartition(".")[0] + "." not in FORMER]
    assert len(found) > 10
    assert [each for each in found if not resolves(each[2])] == []


def test_names_in_tables_lead_somewhere() -> None:
    names = {*CLASSES, *STOCK.values(), *filter(None, MODULES.values())}
    assert [name for name in sorted(names) if name.startswith("jupyterd.") and not resolves(name)] == []


@pytest.mark.parametrize("package", ["auth", "config", "contents", "gateway", "kernels", "sessions"])
def test_the_face_of_a_package(package: str) -> None:
    face = importlib.import_module(f"jupyterd.{package}")
    assert set(face.__all__) == set(face.HOMES)
    for name in face.__all__:
        assert getattr(face, name).__name__ == name
    with pytest.raises(AttributeError):
        _ = face.nothing


WHOLE = {"conformance", "deploy", "examples", "fuzz", "packaging", "real", "soak"}
"""Folders of tests of the whole, which are no part's."""


def test_tests_lie_where_their_modules_do() -> None:
    tests = HOUSE / "tests"
    folders = {path.parent.relative_to(tests) for path in tests.rglob("test_*.py")}
    elsewhere = [str(folder) for folder in folders if folder.parts and folder.parts[0] not in WHOLE]
    assert [folder for folder in sorted(elsewhere) if not (PACKAGE / folder).is_dir()] == []


RIDDLES = {
    "after", "from", "how", "it", "never", "that", "the", "until", "what", "when", "where", "whether", "which", "who",
    "whom", "whose", "why",
}  # fmt: skip
"""Words that nobody searches for."""


def test_a_module_is_found_by_its_first_word() -> None:
    """The first line begins with the noun, or the verb, that one would search for."""
    for name, path in modules():
        first = (ast.get_docstring(nodes(path)[0]) or "").split("\n")[0]  # type: ignore[arg-type]
        word = re.split(r"[\s,:]", first, maxsplit=1)[0].lower()
        assert word not in {"", *RIDDLES}, f"{name}: {first}"


def test_the_design_names_files_that_are_there() -> None:
    text = (HOUSE / "docs" / "design.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:\w+/)+\w*(?:\.\w+)?)`", text)) - {"tests/test_layout.py"}
    assert len(named) > 20
    assert [name for name in sorted(named) if not (PACKAGE / name).exists()] == []


def test_documentation_names_no_module_inside_a_feature() -> None:
    """Operators write what is documented: the packages' faces. Files may move."""
    pages = [path for path in (HOUSE / "docs").glob("*.md") if path.stem != "design"]
    text = "\n".join(path.read_text(encoding="utf-8") for path in pages)
    named = set(re.findall(r"`(jupyterd(?:\.\w+)+)`", text))
    assert "jupyterd.contents.AsyncLargeFileManager" in named
    assert [name for name in sorted(named) if not resolves(name)] == []
    faces = [name for name in named if module_of(name).count(".") > 1]
    assert faces == []
