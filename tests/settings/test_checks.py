"""What an operator has set wrongly is told before anything starts, whichever class it is for."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from traitlets import TraitError
from twisted.internet.testing import MemoryReactorClock

from jupyterd.app.composition import jupyterd
from jupyterd.settings.load import BadSettings, load


@pytest.fixture(autouse=True)
def home(jupyter_home: Path) -> Path:
    return jupyter_home


def wrong_in(*options: str) -> str:
    """What a start with these options ends with."""
    with pytest.raises((BadSettings, TraitError)) as caught:
        jupyterd(MemoryReactorClock(), load(["--allow-root", *options]))
    return str(caught.value)


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ("authorizer_class=json.JSONDecoder", "json.decoder.JSONDecoder has no is_authorized()"),
        ("identity_provider_class=json.JSONDecoder", "json.decoder.JSONDecoder has no get_user()"),
        ("kernel_spec_manager_class=json.JSONDecoder", "json.decoder.JSONDecoder has no get_kernel_spec()"),
        ("config_manager_class=json.JSONDecoder", "json.decoder.JSONDecoder has no update()"),
        ("contents_manager_class=json.JSONDecoder", "json.decoder.JSONDecoder has no get()"),
        ("contents_manager_class=json.dumps", "is not a class"),
        ("allow_origin_pat=(", "is no regular expression"),
        ("tornado_settings={'headers': 3}", "headers must be a dict"),
    ],
)
def test_a_setting_of_the_server(option: str, told: str) -> None:
    assert told in wrong_in(f"--ServerApp.{option}")


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ("--transport=carrier_pigeon", "KernelManager.transport"),
        ("--NotebookNotary.algorithm=rot13", "NotebookNotary.algorithm"),
        ("--MultiKernelManager.kernel_manager_class=nowhere.Manager", "can not be imported"),
        ("--MappingKernelManager.kernel_manager_class=json.JSONDecoder", "has no start_kernel()"),
        ("--MappingKernelManager.cull_idle_timeout=soon", "cull_idle_timeout"),
        ("--ContentsManager.allow_hidden=maybe", "allow_hidden"),
        ("--ContentsManager.pre_save_hook=nowhere.hook", "can not be imported"),
        ("--FileContentsManager.root_dir=/nowhere", "is not a directory"),
        ("--SessionManager.database_filepath=/", "is a directory"),
        ("--TerminalManager.cull_interval=often", "cull_interval"),
        ("--KernelRestarter.restart_limit=few", "restart_limit"),
        pytest.param("--LabApp.core_mode=perhaps", "core_mode", marks=pytest.mark.lab),
    ],
)
def test_a_setting_of_another_class(option: str, told: str) -> None:
    assert told in wrong_in(option)


@pytest.mark.parametrize("where", ["option", "file"])
def test_a_preferred_directory_outside_of_the_root(home: Path, tmp_path: Path, where: str) -> None:
    root = tmp_path / "root"
    (root / "below").mkdir(parents=True)
    if where == "option":
        options = [f"--preferred-dir={tmp_path}"]
    else:
        (home / "config").mkdir()
        (home / "config" / "jupyter_server_config.py").write_text(f"c.ServerApp.preferred_dir = {str(tmp_path)!r}")
        options = []
    assert wrong_in(f"--root-dir={root}", *options) == f"{tmp_path} is outside root contents directory"
    assert wrong_in(str(root), *options).endswith("is outside root contents directory")
    jupyterd(MemoryReactorClock(), load(["--allow-root", f"--root-dir={root}", f"--preferred-dir={root}/below"]))


@pytest.mark.parametrize("path", ["../x", "nowhere", "/nowhere"])
def test_a_preferred_path_outside_of_the_root_or_nowhere(tmp_path: Path, path: str) -> None:
    told = wrong_in(f"--root-dir={tmp_path}", f"--FileContentsManager.preferred_dir={path}")
    assert "outside root contents directory" in told or "Preferred directory not found" in told


@pytest.mark.lab
def test_a_front_end_s_own_file(home: Path) -> None:
    (home / "config").mkdir()
    (home / "config" / "jupyter_lab_config.py").write_text("c.LabApp.core_mode = 'perhaps'")
    assert "core_mode" in wrong_in()


@pytest.mark.parametrize(
    ("variable", "value"), [("JUPYTER_PORT", "many"), ("JUPYTER_PORT_RETRIES", "x"), ("JUPYTER_TOKEN_FILE", "/nowhere")]
)
def test_the_environment(variable: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, value)
    assert wrong_in().startswith(variable)


@pytest.mark.parametrize(
    "option",
    [
        "ContentsManager.alow_hidden=True",
        "SessionManager.database=x",
        pytest.param("LabApp.core=True", marks=pytest.mark.lab),
        "ConfigManager.config_dir=x",
        "MappingKernelManager.cull_idle=1",
    ],
)
def test_a_setting_that_nobody_knows_is_told_at_the_start(
    option: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("ServerApp"), "handlers", [caplog.handler])
    jupyterd(MemoryReactorClock(), load(["--allow-root", f"--{option}"]))
    name = option.partition(".")[2].partition("=")[0]
    assert any(f"`{name}` not recognized" in record.getMessage() for record in caplog.records)


def test_what_is_right_passes(home: Path) -> None:
    (home / "config").mkdir()
    (home / "config" / "jupyter_server_config.py").write_text(
        "c.KernelSpecManager.allowed_kernelspecs = {'python3'}\n"
        "c.Session.keyfile = ''\nc.NotebookNotary.db_file = ':memory:'\nc.KernelManager.ip = '127.0.0.1'\n"
    )
    jupyterd(MemoryReactorClock(), load(["--allow-root", "--transport=ipc"]))
