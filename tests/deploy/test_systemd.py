"""The unit of docs/survival.md under a systemd of its own: a user's instance, in a namespace that looks booted."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.deploy.test_deploy import FILES, kernel_of, pid_of
from tests.real.daemon import BIN, Daemon, alive, await_answer, common, environment, until
from tests.real.survival import lasting_port

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(
        not os.environ.get("JUPYTERD_SYSTEMD") or os.geteuid() != 0 or shutil.which("systemd-analyze") is None,
        reason="needs JUPYTERD_SYSTEMD=1, root and systemd",
    ),
]

BOOTED = """
mount --make-rprivate / && mount -t tmpfs none /run && mkdir -p /run/systemd/system
for group in /sys/fs/cgroup /sys/fs/cgroup/systemd /sys/fs/cgroup/unified; do
    [ -e $group/cgroup.procs ] && mkdir -p $group/jupyterd-test && echo $$ > $group/jupyterd-test/cgroup.procs
done
exec /usr/lib/systemd/systemd --user --unit=basic.target --log-target=console
"""


def unit(root: Path, port: int) -> str:
    """The one that is documented, for another port and directory."""
    text = (FILES.parent.parent / "survival.md").read_text()
    found = re.search(r"    \[Service\]\n(?:    .*\n)+", text)
    assert found is not None
    options = " ".join(["--allow-root", "--ServerApp.port_retries=0", *common(root.parent, port)])
    lines = [line.removeprefix("    ") for line in found[0].splitlines()]
    return "\n".join(lines).replace("/usr/bin/jupyterd", str(BIN / "jupyterd")) + f" {options}\n"


@contextmanager
def systemd(home: Path) -> Iterator[None]:
    env = {**environment(home), "XDG_RUNTIME_DIR": str(home / "run")}
    with (home / "systemd.log").open("wb") as log:
        manager = subprocess.Popen(
            ["unshare", "--mount", "--fork", "bash", "-c", BOOTED],
            env=env,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        until((home / "run" / "systemd" / "private").exists, 30, (home / "systemd.log").read_text())
        yield
    finally:
        os.killpg(manager.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            manager.wait(30)
        with suppress(ProcessLookupError):
            os.killpg(manager.pid, signal.SIGKILL)
        for group in Path("/sys/fs/cgroup").glob("**/jupyterd-test"):
            for each in (*sorted(group.glob("**/*/"), reverse=True), group):
                with suppress(OSError):
                    each.rmdir()


def test_kernels_go_on_over_all_that_it_does() -> None:
    with TemporaryDirectory() as short:
        home, port = Path(short), lasting_port()
        units = home / ".config" / "systemd" / "user"
        for each in (units, home / "root", home / "run"):
            each.mkdir(parents=True)
        (units / "jupyterd.service").write_text(unit(home / "root", port))
        daemon = Daemon(None, home, port)  # type: ignore[arg-type] - systemd has the process
        env = {**environment(home), "XDG_RUNTIME_DIR": str(home / "run")}

        def systemctl(*words: str) -> str:
            done = subprocess.run(["systemctl", "--user", *words], env=env, capture_output=True, text=True, check=False)
            return done.stdout.strip() or done.stderr.strip()

        def main() -> int:
            return int(systemctl("show", "--property=MainPID", "--value", "jupyterd"))

        def another(before: int) -> int:
            def found() -> int:
                with suppress(OSError, AssertionError, ValueError):
                    return main() if main() not in (0, before) and pid_of(daemon) == main() else 0
                return 0

            return int(until(found, 60, systemctl("status", "jupyterd")))

        with systemd(home):
            assert systemctl("start", "jupyterd") == ""
            await_answer(daemon, 60)
            daemon.start_kernel()
            kernel, first = kernel_of(daemon), main()
            os.kill(first, signal.SIGKILL)
            second = another(first)
            assert systemctl("reload", "jupyterd") == ""
            third = another(second)
            assert systemctl("restart", "jupyterd") == ""
            assert kernel_of(daemon) == kernel
            assert third != another(third)
            assert systemctl("stop", "jupyterd") == ""
            assert (systemctl("is-active", "jupyterd"), alive(kernel)) == ("inactive", True)
            assert systemctl("start", "jupyterd") == ""
            await_answer(daemon, 60)
            assert kernel_of(daemon) == kernel
            runtime = {**env, "JUPYTER_RUNTIME_DIR": str(home / "run" / "jupyterd")}
            subprocess.run([BIN / "jupyterd", "stop", str(port), "--kernels"], env=runtime, check=True)
            until(lambda: systemctl("is-active", "jupyterd") == "inactive", 30)
            assert not alive(kernel)
            assert list((home / "run" / "jupyterd").iterdir()) == []
