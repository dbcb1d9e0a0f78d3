"""Kernels that run on a gateway: a Jupyter Kernel Gateway, an Enterprise Gateway or another Jupyter Server."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

ENVIRONMENT = "JUPYTER_GATEWAY_"
"""What the names of its settings in the environment begin with."""


def is_set(config: Mapping[str, Any]) -> bool:
    """Whether kernels run on a gateway; asked before anything of it is imported."""
    url = config.get("GatewayClient", {}).get("url")
    return bool(os.environ.get(f"{ENVIRONMENT}URL") if url is None else url)
