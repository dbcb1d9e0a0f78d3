"""Files, environment and options: which is read, which wins, what is said about it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from jupyterd.compat import class_names
from jupyterd.settings.load import BadSettings, load
from tests.settings.loading import refused, server

pytestmark = pytest.mark.usefixtures("as_anybody")


def test_without_any() -> None:
    made = server()
    assert (made.port, made.port_retries, made.base_url, made.sock_mode) == (8888, 50, "/", "0600")
    assert made.root_dir == os.getcwd()
    assert made.open_browser is False
    assert made.allow_remote_access is False


def test_files_environment_and_options(user: Path, system: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTER_PORT", "1001")
    monkeypatch.setenv("JUPYTER_PORT_RETRIES", "7")
    assert (server().port, server().port_retries) == (1001, 7)
    (system / "jupyter_server_config.py").write_text("c.ServerApp.port = 1002\nc.ServerApp.port_retries = 1")
    assert server().port == 1002
    (user / "jupyter_config.py").write_text("c.ServerApp.port = 1")
    assert server().port == 1002, "a file of the server wins over one for all of Jupyter"
    (user / "jupyter_server_config.py").write_text("c.ServerApp.port = 1003")
    assert server().port == 1003
    (user / "jupyter_server_config.json").write_text(json.dumps({"ServerApp": {"port": 1004}}))
    assert server().port == 1004
    (system / "jupyterd_config.py").write_text("c.ServerApp.port = 1005")
    assert server().port == 1005
    (system / "jupyterd_config.d").mkdir()
    (system / "jupyterd_config.d" / "a.json").write_text(json.dumps({"ServerApp": {"port": 1, "ip": "::1"}}))
    assert (server().port, server().ip) == (1005, "::1")
    made = server("--port=1006")
    assert (made.port, made.port_retries) == (1006, 1)


def test_a_number_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTER_PORT", "many")
    assert refused("--sock=/tmp/x") == "JUPYTER_PORT is 'many', which is not a number"


def test_one_file_instead_of_the_server_s(user: Path, tmp_path: Path) -> None:
    (user / "jupyter_server_config.py").write_text("c.ServerApp.port = 1003")
    (tmp_path / "mine.py").write_text("c.ServerApp.ip = '127.0.0.1'")
    made = server(f"--config={tmp_path / 'mine.py'}")
    assert (made.port, made.ip) == (8888, "127.0.0.1")
    assert "no such config file" in refused("--config=/nowhere.py")


def test_a_file_may_load_another_and_use_get_config(user: Path) -> None:
    (user / "more.py").write_text("c = get_config()\nc.ServerApp.port = 4")
    (user / "jupyter_server_config.py").write_text("load_subconfig('more.py')\nc.ServerApp.port_retries = 2")
    assert (server().port, server().port_retries) == (4, 2)


@pytest.mark.parametrize(("name", "text"), [("x.py", "c.ServerApp.port = 1/0"), ("x.py", "c."), ("x.json", "{")])
def test_a_broken_file_is_left_out(user: Path, told: pytest.LogCaptureFixture, name: str, text: str) -> None:
    (user / name.replace("x", "jupyter_server_config")).write_text(text)
    (user / "jupyterd_config.py").write_text("c.ServerApp.ip = '::1'")
    assert (server().port, server().ip) == (8888, "::1")
    assert "is left out" in told.text


def test_extensions_enable_themselves_in_the_server_s_drop_ins(user: Path, system: Path) -> None:
    for directory, name, extensions in (
        (system, "a", {"one": True, "two": True}),
        (user, "b", {"two": False, "three": True}),
    ):
        (directory / "jupyter_server_config.d").mkdir()
        content = {"ServerApp": {"jpserver_extensions": extensions, "port": 3}}
        (directory / "jupyter_server_config.d" / f"{name}.json").write_text(json.dumps(content))
    (user / "jupyter_server_config.py").write_text("c.ServerApp.jpserver_extensions = {'three': False, 'four': True}")
    made = server()
    assert made.jpserver_extensions == {"one": True, "two": False, "three": False, "four": True}
    assert made.port == 8888, "nothing else in these files is for the server"
    named = server("--ServerApp.jpserver_extensions={'one': False, 'five': True}").jpserver_extensions
    assert named == {"one": False, "two": False, "three": True, "five": True}, (
        "the file is replaced, not what enables itself"
    )


def test_a_directory_or_file_on_the_command_line(tmp_path: Path) -> None:
    assert server(str(tmp_path)).root_dir == str(tmp_path)
    (tmp_path / "a.ipynb").write_text("{}")
    made = server(str(tmp_path / "a.ipynb"))
    assert (made.root_dir, made.file_to_run) == (str(tmp_path), str(tmp_path / "a.ipynb"))
    assert refused("/nowhere") == "no such file or directory: /nowhere"
    assert "incompatible" in refused(str(tmp_path / "a.ipynb"), "--root-dir=/usr")


def test_settings_are_read_again(user: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = load(["--port=5", "--root-dir=."])
    (user / "jupyter_server_config.py").write_text("c.ServerApp.ip = '::1'\nc.ServerApp.port = 6")
    monkeypatch.chdir("/")
    again = settings.again().server
    assert (again.ip, again.port, again.root_dir) == ("::1", 5, str(tmp_path))
    assert os.getcwd() == "/"


def test_a_directory_that_is_gone(user: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "place"
    place.mkdir()
    monkeypatch.chdir(place)
    settings = load([])
    place.rmdir()
    with pytest.raises(BadSettings, match="place: No such file"):
        settings.again()
    assert "working directory" in refused()


def test_a_runtime_directory_that_can_not_be_made(user: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", "/dev/null/runtime")
    assert refused() == "/dev/null/runtime: Not a directory"


@pytest.mark.lab
def test_a_front_end_s_own_files(user: Path) -> None:
    (user / "jupyter_lab_config.py").write_text("c.LabApp.app_dir = '/a'\nc.LabApp.copy_absolute_path = True")
    config = load(["--app-dir=/b"]).config
    assert (str(config.LabApp.app_dir), config.LabApp.copy_absolute_path) == ("/b", True)


@pytest.mark.lab
def test_settings_of_the_server_in_a_front_end_s_own_files(user: Path) -> None:
    (user / "jupyter_notebook_config.py").write_text("c.ServerApp.port = 7\nc.ServerApp.base_url = 'n'")
    assert (server().port, server().base_url) == (7, "/n/")
    (user / "jupyter_lab_config.json").write_text('{"ServerApp": {"port": 8}}')
    assert (server().port, server().base_url) == (8, "/n/"), "JupyterLab's win over Notebook's"
    (user / "jupyter_config.py").write_text("c.ServerApp.port = 9")
    assert server().port == 9, "and the server's over both"
    off = "--ServerApp.jpserver_extensions={'jupyterlab': False, 'notebook': False}"
    assert (server(off).port, server(off).base_url) == (9, "/"), "one that is switched off has none"


def test_one_file_stands_for_those_of_front_ends_too(user: Path, tmp_path: Path) -> None:
    (user / "jupyter_lab_config.py").write_text("c.ServerApp.port = 7")
    (tmp_path / "mine.py").write_text("c.ServerApp.base_url = 'm'")
    made = server(f"--config={tmp_path / 'mine.py'}")
    assert (made.port, made.base_url) == (8888, "/m/")


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--port=abc", "The 'port' trait of a ServerApp instance expected an int, not the str 'abc'."),
        ("--port=70000", "invalid port: 70000, ports are 0 to 65535"),
        ("--root-dir=/nowhere", "No such directory: '/nowhere'"),
        ("--sock-mode=8", 'invalid --sock-mode value: 8, please specify as e.g. "0600"'),
        ("--sock-mode=0400", "invalid --sock-mode value: 0400, must have u+rw (0600) at a minimum"),
        ("--certfile=/nowhere.pem", "certfile can not be read: /nowhere.pem"),
        (
            "--ServerApp.contents_manager_class=no.such.Thing",
            "ServerApp.contents_manager_class: 'no.such.Thing' can not",
        ),
        ("--ServerApp.log_format=%(x)s", "log_format can not be used: KeyError: 'x'"),
        ("--pylab=inline", "Support for specifying --pylab on the command line has been removed. Please use `%pylab"),
        (f"--sock=/{'x' * 120}", "the path of a UNIX socket has at most 107 bytes"),
    ],
)
def test_a_bad_value_is_one_line(option: str, message: str) -> None:
    assert refused(option).startswith(message)


def test_the_token_of_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("JUPYTER_TOKEN", "from-env")
    assert load([]).token == "from-env"
    monkeypatch.delenv("JUPYTER_TOKEN")
    assert len(load([]).token) == 48


def test_notebook_dir(tmp_path: Path, told: pytest.LogCaptureFixture) -> None:
    assert server(f"--ServerApp.notebook_dir={tmp_path}").root_dir == str(tmp_path)
    assert "notebook_dir is deprecated, use root_dir" in told.text
    assert server(f"--ServerApp.notebook_dir={tmp_path}", "--root-dir=/usr").root_dir == "/usr"


def test_a_misspelt_trait_or_class_is_told(told: pytest.LogCaptureFixture) -> None:
    load(["--ServerApp.prot=1", "--ServrApp.port=1"])
    assert "Config option `prot` not recognized by `ServerApp`.  Did you mean `port`?" in told.text
    assert "Config section `ServrApp` is not known. Did you mean `ServerApp`?" in told.text


def test_a_class_of_the_operators_own_is_no_slip(
    told: pytest.LogCaptureFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "their_contents.py").write_text(
        "from jupyterd.contents.managers.filemanager import FileContentsManager\n"
        "class PlainFileContentsManager(FileContentsManager): pass\n"
        "class TheirFileContentsManager(PlainFileContentsManager): pass\n"
        "TextFileContentsManager = TheirFileContentsManager\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    sections = ("Text", "Their", "Plain")
    load(
        ["--ServerApp.contents_manager_class=their_contents.TextFileContentsManager"]
        + [f"--{name}FileContentsManager.always_delete_dir=True" for name in sections]
    )
    assert "is not known" not in told.text


def test_a_base_of_the_reference_is_no_slip(told: pytest.LogCaptureFixture) -> None:
    settings = load(["--AsyncContentsManager.untitled_file=draft"])
    assert "is not known" not in told.text
    assert settings.make("contents_manager_class").untitled_file == "draft"


def test_a_setting_without_effect_is_told(told: pytest.LogCaptureFixture) -> None:
    stock_class = "jupyter_server.services.kernels.connection.channels.ZMQChannelsWebsocketConnection"
    other = "--ServerApp.reraise_server_extension_failures=1"
    load([f"--ServerApp.kernel_websocket_connection_class={stock_class}", other])
    assert "ServerApp.reraise_server_extension_failures has no effect here: extensions are loaded" in told.text
    assert "kernel_websocket_connection_class" not in told.text


def test_no_secret_reaches_the_log_of_debugging(told: pytest.LogCaptureFixture) -> None:
    load(["--debug", "--IdentityProvider.token=hush"])
    assert "hush" not in told.text


def test_a_stock_class_of_the_reference_is_ours() -> None:
    assert class_names.ours("jupyter_server.services.config.ConfigManager") == "jupyterd.config.ConfigManager"
    made = load(["--ServerApp.config_manager_class=jupyter_server.services.config.manager.ConfigManager"])
    assert type(made.make("config_manager_class")).__module__ == "jupyterd.config.manager"


@pytest.mark.parametrize("name", sorted({*class_names.CLASSES, *class_names.STOCK.values()}))
def test_every_class_that_is_known_by_name_exists(name: str) -> None:
    assert class_names.resolve(name).__name__ == name.rpartition(".")[2]


def test_a_class_of_one_s_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user: Path) -> None:
    (tmp_path / "own_manager.py").write_text(
        "from jupyterd.config.manager import ConfigManager\nclass Own(ConfigManager): pass"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    (user / "jupyter_server_config.py").write_text(
        "c.ServerApp.config_manager_class = 'own_manager.Own'\nc.ConfigManager.config_dir_name = 'elsewhere'"
    )
    made = load([]).make("config_manager_class")
    assert (type(made).__name__, made.config_dir_name) == ("Own", "elsewhere")


def test_bases_of_the_reference_s_classes_are_read(user: Path) -> None:
    (user / "jupyter_server_config.py").write_text(
        "c.FileManagerMixin.use_atomic_writing = False\nc.FileManagerMixin.hash_algorithm = 'md5'\n"
        "c.FileContentsManager.hash_algorithm = 'sha1'"
    )
    manager = load([]).make("contents_manager_class")
    assert (manager.use_atomic_writing, manager.hash_algorithm) == (False, "sha1")


def test_settings_without_effect_are_named(told: pytest.LogCaptureFixture) -> None:
    load(["--ServerApp.reraise_server_extension_failures=1", "--FileContentsManager.files_handler_class=x.Y"])
    assert "ServerApp.reraise_server_extension_failures has no effect here: extensions are loaded" in told.text
    assert "FileContentsManager.files_handler_class has no effect here: files are sent by Twisted." in told.text


def test_extensions_that_are_not_loaded_are_named(user: Path, told: pytest.LogCaptureFixture) -> None:
    enabled = {"jupyterlab": True, "jupyterlab_git": True, "off": False}
    (user / "jupyter_server_config.py").write_text(f"c.ServerApp.jpserver_extensions = {enabled}")
    load([])
    assert "extension jupyterlab_git is enabled, but" in told.text
    assert told.text.count("server extension ") == 1


def test_terminals_are_switched_off_like_an_extension(user: Path) -> None:
    assert server().terminals_enabled
    (user / "jupyter_server_config.py").write_text(
        "c.ServerApp.jpserver_extensions = {'jupyter_server_terminals': False}"
    )
    assert not server().terminals_enabled
    assert server("--ServerApp.terminals_enabled=True").terminals_enabled


def test_a_broken_file_is_told_once(user: Path, told: pytest.LogCaptureFixture) -> None:
    (user / "jupyter_server_config.json").write_text("{")
    load([])
    assert told.text.count("is left out") == 1


@pytest.mark.parametrize("name", ["kernel_manager_class", "session_manager_class"])
def test_a_class_that_can_not_stand_for_ours_is_refused(name: str) -> None:
    with pytest.raises(BadSettings, match=f"ServerApp.{name}: collections.OrderedDict must extend jupyterd"):
        load(["--allow-root", f"--ServerApp.{name}=collections.OrderedDict"])
