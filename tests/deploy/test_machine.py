"""The units of docs/deploy and examples/systemd under a systemd that is the first process of its machine."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.deploy.lab import HOUSE, SERVER, Machine, booted, needs
from tests.real.daemon import until

pytestmark = needs("systemd-nspawn", "debootstrap")
FILES = HOUSE / "docs" / "deploy" / "files"
UNIT = "jupyterd@ada.service"
SOCK = "/run/jupyterd-ada/jupyterd.sock"
CONFIG = "/home/ada/.jupyter/jupyter_server_config.py"
TOKEN = "c = get_config()\nc.IdentityProvider.token = 't0ken'\n"

CLIENT = """
import http.client, socket, sys
where, method, path, *body = sys.argv[1:]
if where.isdecimal():
    connection = http.client.HTTPConnection("127.0.0.1", int(where), timeout=60)
else:
    connection = http.client.HTTPConnection("localhost", timeout=60)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(where)
connection.request(method, path, *body, headers={"Authorization": "token t0ken"})
answer = connection.getresponse()
print(answer.status, answer.read().decode())
"""


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    with booted("machine") as found:
        for name in ("jupyterd@.service", "jupyterd@.socket"):
            found.write(f"/etc/systemd/system/{name}", (FILES / name).read_text())
        found.write("/root/client.py", CLIENT)
        found.write(CONFIG, TOKEN, user="ada")
        yield found


@pytest.fixture(autouse=True)
def nothing_runs(machine: Machine) -> Iterator[None]:
    """Each test begins with the units as they are shipped."""
    yield
    machine.ask("systemctl", "stop", "jupyterd@ada.socket", UNIT)
    machine.ask("pkill", "-KILL", "-u", "ada", "-f", "jupyterd|ipykernel")
    for path in (f"/etc/systemd/system/{UNIT}.d", "/run/jupyterd-ada"):
        machine.do("rm", "-rf", path)
    machine.write(CONFIG, TOKEN, user="ada")
    machine.do("systemctl", "daemon-reload")
    machine.ask("systemctl", "reset-failed", UNIT)


def ask(machine: Machine, method: str, path: str, body: Any = None, where: str = SOCK) -> Any:
    """The JSON of an answer; None where there is no good one."""
    more = [] if body is None else [json.dumps(body)]
    done = machine.ask("python3", "/root/client.py", where, method, path, *more)
    status, _, text = done.stdout.partition(" ")
    return json.loads(text or "null") if done.returncode == 0 and status.startswith("2") else None


def main_pid(machine: Machine) -> int:
    return int(machine.do("systemctl", "show", "--value", "--property=MainPID", UNIT))


def start_kernel(machine: Machine, where: str = SOCK) -> tuple[str, int]:
    """Its id, and its process when it is idle."""
    made = ask(machine, "POST", "/api/kernels", {"name": "python3"}, where)["id"]

    def idle() -> int:
        [one] = ask(machine, "GET", "/api/jupyterd/status", where=where)["kernels"]
        return one["pid"] if one["execution_state"] == "idle" else 0

    return made, until(idle, 60)


def kernels(machine: Machine, where: str = SOCK) -> list[tuple[str, int]]:
    account = ask(machine, "GET", "/api/jupyterd/status", where=where) or {"kernels": []}
    return [(one["id"], one["pid"]) for one in account["kernels"]]


def drop_in(machine: Machine, text: str) -> None:
    machine.write(f"/etc/systemd/system/{UNIT}.d/more.conf", text)
    machine.do("systemctl", "daemon-reload")


def test_kernels_go_on_over_each_way_of_a_new_start(machine: Machine) -> None:
    """``start`` comes back when the server answers; a restart, a kill and a stop leave the kernels."""
    machine.do("systemctl", "start", UNIT)
    assert ask(machine, "GET", "/api/kernels") == []
    kernel = start_kernel(machine)
    first = main_pid(machine)
    machine.do("systemctl", "restart", UNIT)
    second = main_pid(machine)
    assert second != first
    assert kernels(machine) == [kernel]
    machine.do("kill", "-KILL", str(second))
    until(lambda: main_pid(machine) not in (0, second) and kernels(machine) == [kernel], 60)
    machine.do("systemctl", "stop", UNIT)
    machine.do("kill", "-0", str(kernel[1]))
    machine.do("systemctl", "start", UNIT)
    assert kernels(machine) == [kernel]
    done = ask(machine, "POST", f"/api/kernels/{kernel[0]}/execute", {"code": "open('/tmp/seen', 'w').write('x')"})
    assert done is not None
    seen = ("test", "-e", "/tmp/seen")  # noqa: S108 - what is shared is what is tried
    until(lambda: machine.ask(*seen).returncode == 0, 30, "the kernel does not run cells, or its /tmp is another")


def test_a_reload_reads_the_settings(machine: Machine) -> None:
    machine.do("systemctl", "start", UNIT)
    before = main_pid(machine)
    machine.write(CONFIG, TOKEN + "c.ServerApp.log_level = 'DEBUG'\n", user="ada")
    machine.do("systemctl", "reload", UNIT)
    until(lambda: ask(machine, "GET", "/api/jupyterd/log-level")["level"] == "DEBUG", 30)
    assert machine.do("systemctl", "is-active", UNIT) == "active\n"
    assert main_pid(machine) == before


def test_a_reload_can_be_an_upgrade_without_a_gap(machine: Machine) -> None:
    """As the page about survival says."""
    drop_in(machine, "[Service]\nExecReload=\nExecReload=kill -USR2 $MAINPID\n")
    machine.do("systemctl", "start", UNIT)
    before, kernel = main_pid(machine), start_kernel(machine)
    machine.do("systemctl", "reload", UNIT)
    until(lambda: main_pid(machine) not in (0, before), 60)
    until(lambda: kernels(machine) == [kernel], 60)
    assert machine.do("systemctl", "is-active", UNIT) == "active\n"
    assert machine.do("systemctl", "show", "--value", "--property=NRestarts", UNIT) == "0\n"


def test_a_server_that_does_not_turn_is_started_anew(machine: Machine) -> None:
    """The watchdog: systemd hears nothing of it and kills it; its kernels stay."""
    drop_in(machine, "[Service]\nWatchdogSec=3\nTimeoutAbortSec=2\n")
    machine.do("systemctl", "start", UNIT)
    before, kernel = main_pid(machine), start_kernel(machine)
    machine.do("sleep", "5")
    assert main_pid(machine) == before, "one that turns is left alone"
    machine.do("kill", "-STOP", str(before))
    until(lambda: main_pid(machine) not in (0, before) and kernels(machine) == [kernel], 90)
    assert "watchdog" in machine.do("journalctl", "--no-pager", "-u", UNIT, "-g", "[Ww]atchdog timeout").lower()


def test_the_first_client_starts_it(machine: Machine) -> None:
    """On systemd's socket, of the owner and with the permissions that its unit says; it stays, and kernels too."""
    unit = "/run/jupyterd-ada.sock"
    machine.do("systemctl", "start", "jupyterd@ada.socket")
    assert machine.do("stat", "-c", "%U %G %a", unit) == "ada www-data 660\n"
    assert machine.ask("systemctl", "is-active", UNIT).stdout == "inactive\n"
    assert ask(machine, "GET", "/api/kernels", where=unit) == []
    kernel = start_kernel(machine, where=unit)
    assert "%2Frun%2Fjupyterd-ada.sock" in ask(machine, "GET", "/api/jupyterd/status", where=unit)["url"]
    machine.do("systemctl", "restart", UNIT)
    assert kernels(machine, where=unit) == [kernel]
    before = main_pid(machine)
    machine.do("kill", "-USR2", str(before))
    until(lambda: main_pid(machine) not in (0, before) and kernels(machine, where=unit) == [kernel], 90)
    runtime = "JUPYTER_RUNTIME_DIR=/run/jupyterd-ada"
    shown = machine.do("env", runtime, f"{SERVER}/bin/jupyterd", "status", unit, user="ada")
    assert kernel[0][:8] in shown


def test_the_journal_has_fields(machine: Machine) -> None:
    machine.write(CONFIG, TOKEN + "c.ServerApp.log_style = 'journal'\n", user="ada")
    machine.do("systemctl", "start", UNIT)
    kernel, _ = start_kernel(machine)
    machine.do("journalctl", "--sync")
    lines = machine.do("journalctl", "-o", "json", f"JUPYTERD_KERNEL={kernel}").splitlines()
    entries = [json.loads(line) for line in lines]
    assert any(entry["MESSAGE"] == f"Kernel started: {kernel}" for entry in entries)
    assert {entry["_SYSTEMD_UNIT"] for entry in entries} == {UNIT}
    assert {entry["SYSLOG_IDENTIFIER"] for entry in entries} == {"jupyterd"}


def test_it_is_as_hard_as_is_told(machine: Machine) -> None:
    machine.do("systemctl", "start", UNIT)
    shown = machine.do("systemd-analyze", "security", "--no-pager", UNIT)
    found = re.search(r"exposure level for \S+: ([\d.]+)", shown)
    assert found is not None
    told = re.search(r"`systemd-analyze security` says ([\d.]+)", (FILES.parent / "index.md").read_text())
    assert told is not None
    assert found[1] == told[1]


def test_units_of_a_user_s_own(machine: Machine) -> None:
    """``examples/systemd``, under the user's service manager: both sockets, and a restart that keeps kernels."""
    machine.do("loginctl", "enable-linger", "ada")
    try:
        for path in sorted((HOUSE / "examples" / "systemd").iterdir()):
            machine.write(f"/home/ada/.config/systemd/user/{path.name}", path.read_text(), user="ada")
        machine.do("sh", "-c", f"mkdir -p /home/ada/notebooks && ln -sfn {SERVER} /home/ada/.venv", user="ada")
        until(lambda: machine.ask("systemctl", "--user", "daemon-reload", user="ada").returncode == 0, 60)
        machine.do("systemctl", "--user", "enable", "--now", "jupyterd.socket", user="ada")
        assert ask(machine, "GET", "/api/kernels", where="8888") == []
        unix = f"/run/user/{machine._number('ada')}/jupyterd.sock"
        kernel = start_kernel(machine, where=unix)
        account = ask(machine, "GET", "/api/jupyterd/status", where="8888")
        assert any(unix.replace("/", "%2F") in url for url in [account["url"], *account["more_urls"]])
        machine.do("systemctl", "--user", "restart", "jupyterd.service", user="ada")
        assert kernels(machine, where="8888") == [kernel]
        machine.do("systemctl", "--user", "reload", "jupyterd.service", user="ada")
        machine.do(f"{SERVER}/bin/jupyterd", "stop", "--kernels", "8888", user="ada")
        until(lambda: machine.ask("kill", "-0", str(kernel[1])).returncode != 0, 30, "the stop has left the kernel")
    finally:
        machine.ask("systemctl", "--user", "disable", "--now", "jupyterd.socket", "jupyterd.service", user="ada")
        machine.do("loginctl", "disable-linger", "ada")
