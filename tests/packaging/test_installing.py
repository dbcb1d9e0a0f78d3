"""Wheel, sdist and editable install, each in a fresh environment of each Python that this machine has."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.real.daemon import TOKEN, common, free_port, until

pytestmark = pytest.mark.real
HOUSE = Path(__file__).resolve().parent.parent.parent
VERSIONS = ("3.10", "3.11", "3.12", "3.13")


def pythons() -> list[str]:
    """The interpreter of the oldest version; one of each with ``JUPYTERD_ALL_PYTHONS=1``."""
    found = {}
    for version in VERSIONS:
        known = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
        path = str(known[-1]) if known else shutil.which(f"python{version}")
        if path:
            found[version] = path
    paths = list(found.values()) or [sys.executable]
    return paths if os.environ.get("JUPYTERD_ALL_PYTHONS") else paths[:1]


def run(*command: str | Path) -> str:
    done = subprocess.run(
        [*map(str, command)], capture_output=True, text=True, check=False, timeout=600, cwd="/", env=clean()
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def clean(**more: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("JUPYTER", "JPY", "PYTHON", "VIRTUAL_ENV"))}
    return {**kept, **more}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the repository, and nothing else that lies about."""
    copy = tmp_path_factory.mktemp("source") / "jupyterd"
    for name in run("git", "-C", HOUSE, "ls-files").splitlines():
        if (HOUSE / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(HOUSE / name, copy / name)
    return copy


@pytest.fixture(scope="module")
def built(source: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The wheel and the sdist, the first made from the second."""
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--outdir", out, source)
    [wheel], [sdist] = out.glob("*.whl"), out.glob("*.tar.gz")
    return wheel, sdist


def test_the_wheel_holds_all_files_of_the_package(source: Path, built: tuple[Path, Path]) -> None:
    expected = {
        str(path.relative_to(source))
        for top in ("jupyterd", "twisted")
        for path in (source / top).rglob("*")
        if path.is_file()
    }
    with zipfile.ZipFile(built[0]) as wheel:
        held = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert held == expected


def test_the_sdist_holds_what_its_tests_need(source: Path, built: tuple[Path, Path]) -> None:
    with tarfile.open(built[1]) as sdist:
        held = {name.partition("/")[2] for name in sdist.getnames()}
    wanted = {str(path.relative_to(source)) for path in (source / "tests").rglob("*.py")}
    assert wanted | {"README.md", "setup.cfg", "pyproject.toml", "twisted/plugins/jupyterd_plugin.py"} <= held


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("python", pythons())
def test_each_way_of_installing(python: str, source: Path, built: tuple[Path, Path], tmp_path: Path) -> None:
    wheel, sdist = built
    run(python, "-m", "venv", tmp_path / "v")
    pip = (tmp_path / "v" / "bin" / "python", "-m", "pip", "--disable-pip-version-check", "--quiet")
    run(*pip, "install", wheel)
    works(tmp_path / "v" / "bin", tmp_path / "wheel")
    for way in ([sdist], ["--editable", source]):
        run(*pip, "uninstall", "--yes", "jupyterd")
        run(*pip, "install", *way)
        works(tmp_path / "v" / "bin", tmp_path / way[0].name if isinstance(way[0], Path) else tmp_path / "editable")
    run(*pip, "uninstall", "--yes", "jupyterd")
    assert "jupyterd  " not in run(tmp_path / "v" / "bin" / "twistd", "--help")


def works(commands: Path, home: Path) -> None:
    """Both commands are there, and the server starts, answers and ends."""
    import http.client

    assert "jupyterd  " in run(commands / "twistd", "--help")
    assert run(commands / "jupyterd", "--version").strip()
    assert "--port=<ServerApp.port>" in run(commands / "python", "-m", "jupyterd", "--help")
    (home / "root").mkdir(parents=True)
    directories = {f"JUPYTER_{kind}_DIR": str(home / kind.lower()) for kind in ("CONFIG", "DATA", "RUNTIME")}
    port = free_port()
    with (home / "log").open("wb") as log:
        server = subprocess.Popen(
            [commands / "twistd", "-n", "jupyterd", "--allow-root", *common(home, port)],
            stdout=log, stderr=log, cwd=home / "root", env=clean(**directories),
        )  # fmt: skip

    def status() -> int | None:
        assert server.poll() is None, (home / "log").read_text()
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            connection.request("GET", "/api/contents", headers={"Authorization": f"token {TOKEN}"})
            return connection.getresponse().status
        except OSError:
            return None

    try:
        assert until(status) == 200
    finally:
        server.terminate()
    assert server.wait(30) == 0
    assert list((home / "root").iterdir()) == []
