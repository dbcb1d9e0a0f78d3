"""All benchmarks of the server in one table: ``python -m benchmarks`` installs the peers and runs them turn about."""

from benchmarks import environments

environments.drive("benchmarks")

from benchmarks import channels, contents, day, lab, rest, startup, terminals  # noqa: E402 - they need what drive() finds
from benchmarks.harness import main  # noqa: E402

MODULES = (startup, rest, contents, channels, terminals, day, lab)
main(__doc__, [case for module in MODULES for case in module.CASES])
