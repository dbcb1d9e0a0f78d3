"""What schemathesis is to find wrong: a defect. Refusals in the 500s that the Jupyter Server words alike are none."""

from __future__ import annotations

from typing import Any

import schemathesis


@schemathesis.check
def no_defect(context: Any, response: Any, case: Any) -> None:
    """No answer of the kind that stands for an exception nobody expected."""
    if response.status_code == 500 and b"Unhandled error" in response.content:
        raise AssertionError(f"a defect: {response.content!r}")
