"""An extension whose import ends when there is a file, or after a minute."""

from __future__ import annotations

import os
import time
from typing import Any

for _ in range(600):
    if os.path.exists("go"):
        break
    time.sleep(0.1)


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    return [{"module": "bad_wait"}]


def _load_jupyter_server_extension(app: Any) -> None: ...
