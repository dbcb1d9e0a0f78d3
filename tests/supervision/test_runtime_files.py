"""The files by which tools find a server, and what it prints."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from jupyterd import __version__
from jupyterd.status.version import API_VERSION
from jupyterd.supervision import runtime_files
from tests.supervision.server import server


def mode(path: str) -> int:
    return stat.S_IMODE(os.stat(path).st_mode)


def test_the_info_file_is_private_and_complete(tmp_path: Path) -> None:
    made = server(tmp_path, port=1, ip="127.0.0.1")
    assert made.info_file == str(tmp_path / "runtime" / f"jpserver-{os.getpid()}.json")
    made.write_server_info_file()
    assert mode(made.info_file) == 0o600
    info = json.loads(Path(made.info_file).read_text())
    assert info == made.server_info()
    assert set(info) == {
        "base_url", "hostname", "jupyterd_version", "password", "pid", "port", "root_dir", "secure", "sock", "token",
        "url", "version",
    }  # fmt: skip
    assert (info["version"], info["jupyterd_version"]) == (API_VERSION, __version__), "tools compare the first"
    made.remove_server_info_file()
    made.remove_server_info_file()
    assert os.listdir(tmp_path / "runtime") == []


def test_the_page_that_leads_a_browser_here(tmp_path: Path) -> None:
    made = server(tmp_path, port=1, ip="127.0.0.1", base_url="/b/", default_url="/lab?a=1&b=<")
    made.write_browser_open_files()
    page = Path(made.browser_open_file).read_text()
    assert 'content="1;url=http://127.0.0.1:1/b/lab?a=1&amp;b=&lt;?token=t"' in page
    assert mode(made.browser_open_file) == 0o600
    assert os.listdir(tmp_path / "runtime") == [os.path.basename(made.browser_open_file)]
    made.remove_browser_open_files()
    assert os.listdir(tmp_path / "runtime") == []


def test_a_page_for_a_file(tmp_path: Path) -> None:
    made = server(tmp_path, port=1, ip="127.0.0.1")
    made.file_to_run = str(tmp_path / "a b" / "n.ipynb")
    made.write_browser_open_files()
    page = Path(made.browser_open_file_to_run).read_text()
    assert "http://127.0.0.1:1/notebooks/a%20b/n.ipynb?token=t" in page
    made.remove_browser_open_files()
    assert os.listdir(tmp_path / "runtime") == []


def test_a_directory_that_can_not_be_written_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    made = server(tmp_path, port=1)
    (tmp_path / "none").write_text("")
    made.info_file = str(tmp_path / "none" / "x.json")
    made.write_server_info_file()
    assert "Failed to write" in caplog.text


def test_a_link_that_somebody_has_put_there_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    os.symlink(victim, tmp_path / "x")
    runtime_files.write_private(str(tmp_path / "x"), "text")
    assert victim.read_text() == "precious"
    assert (tmp_path / "x").read_text() == "text"
    assert not (tmp_path / "x").is_symlink()


def test_a_directory_that_was_cleaned_away_is_made_again(tmp_path: Path) -> None:
    made = server(tmp_path, port=1)
    made.info_file = str(tmp_path / "gone" / "x.json")
    made.write_server_info_file()
    assert mode(made.info_file) == 0o600
    assert mode(str(tmp_path / "gone")) == 0o700
