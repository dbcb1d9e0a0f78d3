"""Steps on a notebook while it is saved or written: run by the contents service, in a thread or its child."""

from __future__ import annotations

from typing import Any

from jupyterd.contents import operations
from jupyterd.outputs.merge import Notebook, Recorded, Shown, Written, is_stale, merge, merge_save, unknown_to
from jupyterd.outputs.runs import parameters

SAVE, WRITE, INJECT = (f"jupyterd.outputs.merge_steps:{name}" for name in ("save", "write", "inject"))


async def write(manager: Any, path: str, content: Notebook, given: dict[str, Any]) -> dict[str, Any]:
    """Outputs go into the file.

    :param given: ``recorded``: of each execution the fields of :class:`Recorded`.
    """
    return merge(content, [Recorded(**each) for each in given["recorded"]]).as_json()


async def save(manager: Any, path: str, content: Notebook, given: dict[str, Any]) -> dict[str, Any]:
    """A client saves.

    :param given: ``recorded``, ``shown`` and ``written``: the fields of their classes; and the client's ``mark``.
    """
    written = {cell_id: Written(**each) for cell_id, each in given["written"].items()}
    mark = _number(given.get("mark"))
    stale = is_stale(content, unknown_to(mark, written))
    disk = await operations.notebook_on_disk(manager, path) if stale else None
    report = merge_save(
        content,
        shown=[Shown(**each) for each in given["shown"]],
        recorded=[Recorded(**each) for each in given["recorded"]],
        written=written,
        mark=mark,
        on_disk=lambda: disk,
    )
    return report.as_json()


async def inject(manager: Any, path: str, content: Notebook, given: dict[str, Any]) -> dict[str, Any]:
    """Parameters go into a notebook.

    :param given: ``parameters``.
    """
    parameters.inject(content, parameters.code_of(given["parameters"], parameters.language_of(content)))
    return {"changed": True}


def _number(value: Any) -> int:
    return value if isinstance(value, int) else 0
