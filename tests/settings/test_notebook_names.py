"""What ten years of command lines and files say of the server in the names of Notebook and JupyterLab."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from traitlets.config import Config

from jupyterd.serverapp import ServerApp
from jupyterd.settings.load import Settings, load
from jupyterd.settings.notebook_names import nested

pytestmark = [
    pytest.mark.usefixtures("as_anybody"),
    # What traitlets says of dicts and quotes on a command line.
    pytest.mark.filterwarnings("ignore::DeprecationWarning:traitlets"),
]

PROGRAMS = ("NotebookApp", "LabApp", "JupyterNotebookApp")
# All that notebook_shim 0.2.4 hands from these programs to a Jupyter Server 2.21, less what can not be set there
# (`argv`, `flags` and the like), with something to set each to.
MOVED = {
    "allow_credentials": True,
    "allow_external_kernels": True,
    "allow_origin": "https://a.example",
    "allow_origin_pat": "https://.*",
    "allow_password_change": False,
    "allow_remote_access": True,
    "allow_root": True,
    "allow_unauthenticated_access": False,
    "authenticate_prometheus": False,
    "authorizer_class": "jupyterd.auth.authorizer.AllowAllAuthorizer",
    "autoreload": True,
    "base_url": "/moved/",
    "browser": "links",
    "certfile": "/c.pem",
    "client_ca": "/ca.pem",
    "config_manager_class": "jupyterd.config.manager.ConfigManager",
    "contents_manager_class": "jupyterd.contents.managers.filemanager.FileContentsManager",
    "cookie_options": {"secure": True},
    "cookie_secret_file": "/secret",
    "custom_display_url": "https://shown.example",
    "disable_check_xsrf": True,
    "external_connection_dir": "/kernels",
    "extra_log_scrub_param_keys": ["hush"],
    "extra_services": ["a.b"],
    "extra_static_paths": ["/static"],
    "extra_template_paths": ["/templates"],
    "get_secure_cookie_kwargs": {"max_age_days": 1},
    "identity_provider_class": "jupyterd.auth.identity.IdentityProvider",
    "iopub_data_rate_limit": 5.0,
    "iopub_msg_rate_limit": 6.0,
    "ip": "127.0.0.1",
    "jinja_environment_options": {"trim_blocks": True},
    "jinja_template_vars": {"a": "b"},
    "jpserver_extensions": {"x": True},
    "kernel_manager_class": "jupyterd.kernels.manager.AsyncMappingKernelManager",
    "kernel_spec_manager_class": "jupyter_client.kernelspec.KernelSpecManager",
    "kernel_ws_protocol": "",
    "keyfile": "/k.pem",
    "limit_rate": False,
    "local_hostnames": ["here"],
    "login_handler_class": "a.B",
    "logout_handler_class": "a.B",
    "max_body_size": 7,
    "max_buffer_size": 8,
    "min_open_files_limit": 9,
    "nbconvert_csp_sandbox": False,
    "password_required": True,
    "port": 1234,
    "port_retries": 3,
    "quit_button": False,
    "rate_limit_window": 2.0,
    "record_http_request_metrics": False,
    "reraise_server_extension_failures": True,
    "session_manager_class": "jupyterd.sessions.manager.SessionManager",
    "shutdown_no_activity_timeout": 10,
    "sock_mode": "0660",
    "terminado_settings": {"shell_command": ["sh"]},
    "terminals_enabled": False,
    "tornado_settings": {"headers": {}},
    "trust_xheaders": True,
    "use_redirect_file": False,
    "webbrowser_open_new": 1,
    "websocket_compression_options": {"compression_level": 1},
    "websocket_ping_interval": 11,
    "websocket_ping_timeout": 12,
    "websocket_url": "wss://a.example",
}


def read(*argv: str) -> ServerApp:
    """The settings, without the checks that come after all of them are read."""
    server = ServerApp()
    server.initialize(list(argv))
    return server


def settings(*argv: str) -> Settings:
    return load(["--allow-root", *argv])


def warning(name: str, program: str) -> str:
    return (
        f"'{name}' has moved from {program} to ServerApp. This config will be passed to ServerApp. "
        "Be sure to update your config before our next release."
    )


def test_all_that_moves_has_a_row() -> None:
    """What is missing above is of the program itself, or has a test of its own below."""
    others = {
        "answer_yes", "config_file", "config_file_name", "cookie_secret", "default_url", "file_to_run",
        "file_url_prefix", "generate_config", "keeper", "kernel_websocket_connection_class", "kernels_at_stop",
        "log_datefmt", "log_format", "log_level", "logging_config", "notebook_dir", "open_browser", "password",
        "preferred_dir", "pylab", "root_dir", "server_extensions", "show_config", "show_config_json", "sock",
        "ssl_options", "static_immutable_cache", "takeover", "token",
    }  # fmt: skip
    # Settings of this server's own were never those of the notebook.
    assert {*MOVED, *others} - set(ServerApp.class_trait_names(config=True)) == set()


@pytest.mark.lab
@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("where", ["py", "json"])
def test_all_that_moves_from_a_file(user: Path, told: pytest.LogCaptureFixture, program: str, where: str) -> None:
    if where == "json":
        text = json.dumps({program: MOVED})
    else:
        text = "\n".join(f"c.{program}.{name} = {value!r}" for name, value in MOVED.items())
    (user / f"jupyter_notebook_config.{where}").write_text(text)
    made = read()
    assert {name: getattr(made, name) for name in MOVED} == MOVED
    for name in MOVED:
        assert warning(name, program) in told.text


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("name", sorted(MOVED))
def test_all_that_moves_on_the_command_line(
    user: Path, told: pytest.LogCaptureFixture, program: str, name: str
) -> None:
    value = MOVED[name]
    made = read(f"--{program}.{name}={value[0] if isinstance(value, list) else value}")
    assert getattr(made, name) == value
    assert warning(name, program) in told.text


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("empty", ["", "''"])
def test_a_token_that_was_emptied(user: Path, told: pytest.LogCaptureFixture, program: str, empty: str) -> None:
    assert settings(f"--{program}.token={empty}").token == ""
    assert warning("token", program) in told.text
    assert "ServerApp.token config is deprecated in 2.0. Use IdentityProvider.token." in told.text


@pytest.mark.lab
def test_the_password_that_notebook_six_wrote(user: Path) -> None:
    (user / "jupyter_notebook_config.json").write_text('{"NotebookApp": {"password": "argon2:hash"}}')
    made = settings()
    assert made.server.identity_provider.hashed_password == "argon2:hash"
    assert made.token == "", "who has a password needs no token"


@pytest.mark.parametrize(("program", "url"), [("NotebookApp", "/lab"), ("LabApp", "/"), ("JupyterNotebookApp", "/")])
def test_the_page_to_begin_with(user: Path, told: pytest.LogCaptureFixture, program: str, url: str) -> None:
    made = read(f"--{program}.default_url=/lab", f"--{program}.open_browser=True", f"--{program}.log_level=DEBUG")
    assert (made.default_url, made.open_browser, made.log_level) == (url, True, 10)
    assert "has moved" not in told.text
    if program != "NotebookApp":
        assert str(made.config[program].default_url) == "/lab", "it has one of its own"


@pytest.mark.parametrize("program", PROGRAMS)
def test_directories(user: Path, tmp_path: Path, program: str) -> None:
    assert settings(f"--{program}.notebook_dir={tmp_path}").server.root_dir == str(tmp_path)
    assert settings(f"--{program}.root_dir={tmp_path}").server.root_dir == str(tmp_path)


def test_what_a_program_has_itself_stays_with_it(user: Path, told: pytest.LogCaptureFixture) -> None:
    made = read("--LabApp.app_dir=/a", "--JupyterNotebookApp.custom_css=False", "--LabApp.watch=True", "--watch")
    assert str(made.config.LabApp.app_dir) == "/a"
    assert "app_dir" not in told.text
    assert "not found" not in told.text


@pytest.mark.parametrize("name", ["mathjax_url", "nbserver_extensions", "ignore_minified_js"])
def test_what_only_notebook_six_had_is_let_be(user: Path, told: pytest.LogCaptureFixture, name: str) -> None:
    read(f"--NotebookApp.{name}=x")
    assert told.text == ""


def test_what_nobody_knows_is_told(user: Path, told: pytest.LogCaptureFixture) -> None:
    read("--NotebookApp.base_ulr=/x", "--LabApp.zzz=1")
    assert "Trait, base_ulr, not found: NotebookApp.base_ulr has no effect. Did you mean `base_url`?" in told.text
    assert "Trait, zzz, not found: LabApp.zzz has no effect.\n" in told.text


def test_in_one_place_the_new_name_wins(user: Path) -> None:
    (user / "jupyter_server_config.py").write_text("c.NotebookApp.port = 7\nc.ServerApp.port = 8")
    assert read().port == 8
    assert read("--NotebookApp.port=7", "--ServerApp.port=9").port == 9


def test_of_two_places_the_later_one_wins(user: Path) -> None:
    (user / "jupyter_server_config.py").write_text("c.ServerApp.port = 8")
    assert read("--NotebookApp.port=7").port == 7
    (user / "jupyter_server_config.json").write_text('{"NotebookApp": {"port": 9}}')
    assert read().port == 9


@pytest.mark.lab
def test_lists_that_are_appended_to(user: Path) -> None:
    (user / "jupyter_notebook_config.py").write_text("c.NotebookApp.local_hostnames.append('here')")
    assert read().local_hostnames == ["localhost", "here"]


# -- sections below their parents


def test_a_section_below_its_parent(user: Path) -> None:
    (user / "jupyter_server_config.py").write_text("c.ServerApp.TerminalManager.cull_inactive_timeout = 3")
    assert settings().config.TerminalManager.cull_inactive_timeout == 3
    made = settings("--ServerApp.TerminalManager.cull_inactive_timeout=4", "--TerminalManager.cull_interval=5")
    assert str(made.config.TerminalManager.cull_inactive_timeout) == "4"
    assert str(made.config.TerminalManager.cull_interval) == "5"


def test_the_nested_one_wins_at_any_depth() -> None:
    config = Config()
    config.Session.key = b"above"
    config.ServerApp.MappingKernelManager.cull_interval = 1
    config.ServerApp.MappingKernelManager.Session.key = b"below"
    config.ServerApp.tornado_settings = {"Headers": 1}
    assert nested(config) == Config(
        {"MappingKernelManager": {"cull_interval": 1, "Session": {"key": b"below"}}, "Session": {"key": b"below"}}
    )
