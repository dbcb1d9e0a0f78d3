"""All benchmarks of the server in one table: ``python -m benchmarks --reference VENV --jupyterd VENV``."""

from benchmarks import channels, rest, startup
from benchmarks.harness import main

main(__doc__, [*startup.CASES, *rest.CASES, *channels.CASES])
