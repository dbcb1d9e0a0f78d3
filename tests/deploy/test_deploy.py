"""The files of docs/deploy, each started by the program that it is for."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.real.daemon import BIN, TOKEN, Daemon, alive, await_answer, end_kept, environment, free_port, until
from tests.real.test_lab_browser import based

FILES = Path(__file__).resolve().parent.parent.parent / "docs" / "deploy" / "files"
INDEX = FILES.parent / "index.md"


PATH = f"{BIN}:{os.environ.get('PATH', '')}"
"""Programs of Python packages come first."""


def needs(program: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(program, path=PATH) is None, reason=f"needs {program}")


def test_each_file_is_in_the_index() -> None:
    text = INDEX.read_text()
    assert [path.name for path in FILES.iterdir() if f"files/{path.name}" not in text] == []


def test_dashboards_and_alerts_name_metrics_that_there_are() -> None:
    """What Grafana and Prometheus ask for is in the source, or prometheus_client's own."""
    house = FILES.parent.parent.parent / "jupyterd"
    source = "".join(path.read_text() for path in (*house.glob("status/*.py"), house / "app/status.py"))
    text = (FILES / "grafana.json").read_text() + (FILES / "alerts.yml").read_text()
    json.loads((FILES / "grafana.json").read_text())
    for name in set(re.findall(r"\b(?:jupyterd|kernel|http)_[a-z_]+", text)):
        plain = re.sub(r"_(?:bucket|count|sum|total)$", "", name)
        assert f'"{plain}' in source, name


@pytest.mark.real
@needs("promtool")
def test_prometheus_takes_the_rules() -> None:
    subprocess.run(["promtool", "check", "rules", str(FILES / "alerts.yml")], check=True, capture_output=True)
    subprocess.run(["promtool", "check", "config", str(FILES / "prometheus.yml")], check=True, capture_output=True)


@pytest.mark.real
@needs("systemd-analyze")
def test_the_unit_is_hardened(tmp_path: Path) -> None:
    unit = tmp_path / "jupyterd-root.service"
    text = (FILES / "jupyterd@.service").read_text()
    unit.write_text(re.sub("ExecStart=.*", "ExecStart=/bin/true", text).replace("%i", "root"))
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", str(unit)], capture_output=True, text=True, check=False
    )
    if "Overall exposure" not in done.stdout:
        pytest.skip("this systemd can not look at a file")
    found = re.search(r"exposure level for \S+: ([\d.]+)", done.stdout)
    assert found is not None
    assert float(found[1]) <= 2.7


@pytest.mark.real
@needs("hadolint")
def test_the_image_s_file_is_clean() -> None:
    env = {**os.environ, "PATH": PATH}
    subprocess.run(["hadolint", str(FILES / "Dockerfile")], check=True, capture_output=True, env=env)


# -- supervisors


def home_of(tmp_path: Path, *more: str) -> Daemon:
    """A directory with a configuration, and the daemon that is going to run in it."""
    port = free_port()
    for name in ("root", "service"):
        (tmp_path / name).mkdir()
    (tmp_path / "service" / "jupyterd_config.py").write_text(
        f"c = get_config()\nc.ServerApp.port = {port}\nc.ServerApp.port_retries = 0\nc.ServerApp.ip = '127.0.0.1'\n"
        f"c.IdentityProvider.token = {TOKEN!r}\nc.ServerApp.root_dir = {str(tmp_path / 'root')!r}\n"
        + "\n".join(("c.ServerApp.allow_root = True", *more))
    )
    return Daemon(None, tmp_path, port)  # type: ignore[arg-type] - the supervisor has the process


@contextmanager
def supervised(daemon: Daemon, *command: str) -> Iterator[subprocess.Popen[bytes]]:
    env = {**environment(daemon.home), "JUPYTERD": str(BIN / "jupyterd")}
    with (daemon.home / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=daemon.home / "service", env=env, stdout=log, stderr=log)
    daemon.process = process
    try:
        await_answer(daemon, patience=60)
        yield process
    finally:
        process.terminate()
        process.wait(60)
        end_kept(daemon.home)


def pid_of(daemon: Daemon) -> int:
    return int(daemon.json("GET", "/api/jupyterd/status")["pid"])


def comes_back(daemon: Daemon, first: int) -> int:
    """The process that the supervisor has started after ``first``."""

    def again() -> int:
        try:
            pid = pid_of(daemon)
        except (OSError, ValueError, AssertionError):
            return 0
        return pid if pid != first else 0

    return int(until(again, 60, daemon.log[-2000:]))


def kernel_of(daemon: Daemon) -> int:
    """The process of its one kernel."""
    [kernel] = until(lambda: daemon.json("GET", "/api/jupyterd/status")["kernels"])
    return int(kernel["pid"])


def keeps_a_kernel(daemon: Daemon, restart: Callable[[], object]) -> tuple[int, int]:
    """Over a kill and a restart. Gives the pids of the daemon and of the kernel."""
    daemon.start_kernel()
    kernel, first = kernel_of(daemon), pid_of(daemon)
    env = environment(daemon.home)
    done = subprocess.run([BIN / "jupyterd", "restart", str(daemon.port)], env=env, capture_output=True, text=True)
    assert (done.returncode, "would lose the process that takes over" in done.stderr) == (2, True), done.stderr
    assert pid_of(daemon) == first, "it serves on"
    os.kill(first, signal.SIGKILL)
    second = comes_back(daemon, first)
    assert kernel_of(daemon) == kernel
    restart()
    third = comes_back(daemon, second)
    assert kernel_of(daemon) == kernel
    return third, kernel


@pytest.mark.real
def test_supervisord(tmp_path: Path) -> None:
    """It says that it is there, and so kernels are kept."""
    daemon = home_of(tmp_path)
    shutil.copy(FILES / "supervisord.conf", tmp_path / "service" / "jupyterd.conf")
    main = tmp_path / "service" / "supervisord.conf"
    main.write_text("[supervisord]\nnodaemon=true\n[include]\nfiles=jupyterd.conf\n")
    with supervised(daemon, str(BIN / "supervisord"), "-c", str(main)) as manager:
        server, kernel = keeps_a_kernel(daemon, lambda: manager.send_signal(signal.SIGHUP))  # which restarts all
        manager.terminate()
        manager.wait(60)
        assert (alive(server), alive(kernel)) == (False, True)
    until(lambda: not alive(kernel))


@pytest.mark.real
@needs("runsv")
def test_runit(tmp_path: Path) -> None:
    """It does not; the configuration has to."""
    daemon = home_of(tmp_path, "c.ServerApp.kernels_at_stop = 'keep'")
    service = tmp_path / "service"
    shutil.copy(FILES / "runit-run", service / "run")
    (service / "run").chmod(0o755)
    with supervised(daemon, "runsv", str(service)):
        control = service / "supervise" / "control"
        server, kernel = keeps_a_kernel(daemon, lambda: control.write_text("t"))  # as sv restart
    until(lambda: not alive(server) and not alive(kernel), patience=40)


@pytest.mark.real
@needs("s6-supervise")
def test_s6(tmp_path: Path) -> None:
    """Kernels end with the server where the configuration says so."""
    daemon = home_of(tmp_path, "c.ServerApp.kernels_at_stop = 'end'")
    shutil.copy(FILES / "s6-run", tmp_path / "service" / "run")
    (tmp_path / "service" / "run").chmod(0o755)
    with supervised(daemon, "s6-supervise", str(tmp_path / "service")):
        os.kill(first := pid_of(daemon), signal.SIGKILL)
        server = comes_back(daemon, first)
        daemon.start_kernel()
        kernel = kernel_of(daemon)
    until(lambda: not alive(server) and not alive(kernel), patience=40)


@pytest.mark.real
@needs("logrotate")
def test_logrotate(tmp_path: Path) -> None:
    """Lines that come after it are in the new file; twice, as a name that is there already is no hindrance."""
    daemon = home_of(tmp_path, "c.ServerApp.log_style = 'json'")
    log, pid, rules = tmp_path / "jupyterd.log", tmp_path / "twistd.pid", tmp_path / "rules"
    text = (FILES / "logrotate.conf").read_text()
    rules.write_text(text.replace("/var/log/jupyterd.log", str(log)).replace("/run/jupyterd.pid", str(pid)))
    rules.chmod(0o644)
    config = tmp_path / "service" / "jupyterd_config.py"
    command = [str(BIN / "twistd"), "-n", f"--pidfile={pid}", f"--logfile={log}", "jupyterd", f"--config={config}"]
    with supervised(daemon, *command):
        for number in range(2):
            before = set(tmp_path.glob("jupyterd.log-*[0-9]"))
            subprocess.run(["logrotate", "--force", "--state", str(tmp_path / "state"), str(rules)], check=True)
            [moved] = set(tmp_path.glob("jupyterd.log-*[0-9]")) - before  # the one before it is compressed now
            until(log.exists)
            kernel = daemon.start_kernel()
            until(lambda kernel=kernel: kernel in log.read_text())
            assert kernel not in moved.read_text(), number
            assert all(json.loads(line)["level"] for line in log.read_text().splitlines())
            daemon.ask("DELETE", f"/api/kernels/{kernel}")


# -- proxies


def proxied(text: str, port: int, front: int) -> str:
    """A proxy's example with the addresses of the test."""
    return text.replace("unix:/run/jupyterd.sock", f"127.0.0.1:{port}").replace("127.0.0.1:8888", f"127.0.0.1:{port}")


def nginx(tmp_path: Path, port: int, front: int) -> list[str]:
    block = proxied((FILES / "nginx.conf").read_text(), port, front)
    (tmp_path / "nginx.conf").write_text(
        f"daemon off; pid {tmp_path}/pid; error_log stderr; events {{}} http {{ access_log off; "
        f"client_body_temp_path {tmp_path}/b; proxy_temp_path {tmp_path}/p; fastcgi_temp_path {tmp_path}/f; "
        f"uwsgi_temp_path {tmp_path}/u; scgi_temp_path {tmp_path}/s; "
        "map $http_upgrade $connection_upgrade { default upgrade; '' close; } "
        f"server {{ listen 127.0.0.1:{front};\n{block}\n}} }}"
    )
    return ["nginx", "-e", "stderr", "-c", str(tmp_path / "nginx.conf")]


def caddy(tmp_path: Path, port: int, front: int) -> list[str]:
    text = (FILES / "Caddyfile").read_text().replace("unix//run/jupyterd.sock", f"127.0.0.1:{port}")
    text = text.replace("example.org", f"http://127.0.0.1:{front}")
    (tmp_path / "Caddyfile").write_text("{\n admin off\n}\n" + text)
    return ["caddy", "run", "--adapter", "caddyfile", "--config", str(tmp_path / "Caddyfile")]


def apache(tmp_path: Path, port: int, front: int) -> list[str]:
    modules = ("mpm_event", "authz_core", "proxy", "proxy_http", "proxy_wstunnel", "rewrite", "headers")
    loaded = "".join(f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n" for name in modules)
    (tmp_path / "apache.conf").write_text(
        f"ServerRoot {tmp_path}\nServerName localhost\nPidFile {tmp_path}/pid\nListen 127.0.0.1:{front}\n"
        f"{loaded}User www-data\nGroup www-data\nErrorLog {tmp_path}/error\n"
        + proxied((FILES / "apache.conf").read_text(), port, front)
    )
    return ["apache2", "-DFOREGROUND", "-f", str(tmp_path / "apache.conf")]


def traefik(tmp_path: Path, port: int, front: int) -> list[str]:
    (tmp_path / "jupyterd.yml").write_text(proxied((FILES / "traefik.yml").read_text(), port, front))
    return [
        "traefik",
        f"--entrypoints.web.address=127.0.0.1:{front}",
        f"--providers.file.filename={tmp_path / 'jupyterd.yml'}",
        "--global.checknewversion=false",
        "--global.sendanonymoususage=false",
    ]


@pytest.mark.real
@pytest.mark.parametrize(
    "proxy",
    [
        pytest.param(nginx, marks=needs("nginx")),
        pytest.param(caddy, marks=needs("caddy")),
        pytest.param(apache, marks=needs("apache2")),
        pytest.param(traefik, marks=needs("traefik")),
    ],
)
def test_behind_a_proxy(proxy: object, tmp_path: Path) -> None:
    websocket = pytest.importorskip("websocket")
    front = free_port()
    with based(tmp_path / "home", "/jupyter", f"--config={FILES / 'jupyterd_config.py'}") as daemon:
        env = {**os.environ, "PATH": PATH, "HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path)}
        with (tmp_path / "log").open("wb") as log:
            process = subprocess.Popen(proxy(tmp_path, daemon.port, front), stdout=log, stderr=log, env=env)  # type: ignore[operator]
        through = Daemon(process, tmp_path, front, base="/jupyter")
        try:
            await_answer(through)
            kernel = through.start_kernel()
            tab = websocket.create_connection(
                f"ws://127.0.0.1:{front}/jupyter/api/kernels/{kernel}/channels",
                header=[f"Authorization: token {TOKEN}"], timeout=30,
            )  # fmt: skip
            header = {"msg_id": "a", "msg_type": "kernel_info_request", "session": "s", "username": "", "version": "5"}
            rest: dict[str, object] = {"parent_header": {}, "metadata": {}, "content": {}}
            tab.send(json.dumps({"channel": "shell", "header": header, **rest}))
            until(lambda: json.loads(tab.recv())["header"]["msg_type"] == "kernel_info_reply")
            tab.close()
            body = os.urandom(3_000_000)
            assert through.ask("PUT", "/files/large.bin", body).status == 201
            assert through.ask("GET", "/files/large.bin").body == body
        finally:
            process.terminate()
            process.wait(30)
