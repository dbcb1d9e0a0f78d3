"""The wheel, the sdist and an editable install each bring jupyterd to ``twistd`` in a fresh environment."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from tests.real.daemon import running

HOUSE = Path(__file__).resolve().parents[2]
SHIPPED = ("jupyterd", "twisted", "setup.cfg", "pyproject.toml", "MANIFEST.in", "README.md", "CHANGELOG.md", "tox.ini")


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what the package is built from, so that building leaves nothing in the checkout."""
    sources = tmp_path_factory.mktemp("sources")
    for name in SHIPPED:
        ignore = shutil.ignore_patterns("__pycache__", "dropin.cache")
        if (HOUSE / name).is_dir():
            shutil.copytree(HOUSE / name, sources / name, ignore=ignore)
        else:
            shutil.copy(HOUSE / name, sources / name)
    return sources


@pytest.fixture(scope="module")
def dist(sources: Path) -> Path:
    """``dist/`` with the sdist and the wheel made from it."""
    subprocess.run([sys.executable, "-m", "build", str(sources)], check=True, capture_output=True, timeout=300)
    return sources / "dist"


def fresh(home: Path) -> Path:
    """A fresh environment that sees this one's dependencies, but has its own jupyterd or none.

    Its own directory comes first on the path; the tests check that what they ran came from there.
    """
    venv.create(home, with_pip=False, symlinks=True)
    site = Path(sysconfig.get_path("purelib", vars={"base": str(home), "platbase": str(home)}))
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    return home


def install(home: Path, what: str, *options: str) -> None:
    pip = [
        sys.executable,
        "-m",
        "pip",
        f"--python={home / 'bin/python'}",
        "install",
        "-q",
        "--no-deps",
        "--ignore-installed",
    ]
    subprocess.run([*pip, *options, what], check=True, timeout=300)


@pytest.mark.parametrize("form", ["wheel", "sdist", "editable"])
def test_twistd_knows_jupyterd(tmp_path: Path, sources: Path, dist: Path, form: str) -> None:
    home = fresh(tmp_path / "venv")
    if form == "editable":
        install(home, str(sources), "--editable")
    else:
        (package,) = dist.glob("*.whl" if form == "wheel" else "*.tar.gz")
        install(home, str(package))
    python = str(home / "bin/python")
    tell = "import jupyterd, twisted.plugins as p; print(jupyterd.__file__, *p.__path__, sep='\\n')"
    told = subprocess.run([python, "-c", tell], check=True, capture_output=True, text=True, cwd=tmp_path).stdout
    where = sources if form == "editable" else home
    package, *plugins = told.splitlines()
    assert package.startswith(str(where))
    assert [place for place in plugins if place.startswith(str(where)) and Path(place, "jupyterd_plugin.py").exists()]
    twistd = [python, "-m", "twisted", "--help"]
    told = subprocess.run(twistd, check=True, capture_output=True, text=True, cwd=tmp_path, timeout=60).stdout
    assert "jupyterd" in told


def test_the_wheel_alone_serves(tmp_path: Path, dist: Path) -> None:
    """All data files are in the wheel: pages, schemas, the API's description."""
    home = fresh(tmp_path / "venv")
    (wheel,) = dist.glob("*.whl")
    install(home, str(wheel))
    with running(tmp_path / "home", argv=[str(home / "bin/jupyterd")]) as daemon:
        for path in ("/api", "/api/spec.yaml", "/api/me", "/api/contents"):
            assert daemon.ask("GET", path).status == 200, path
        assert b"<form" in daemon.ask("GET", "/login", token="").body
