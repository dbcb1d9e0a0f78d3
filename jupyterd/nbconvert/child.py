"""Child process of conversions: converts one notebook, or names the media types of exporters."""

from __future__ import annotations

import io
import json
import os
import sys
import zipfile
from typing import Any

from jupyterd.system.imports.lean_imports import make_imports_lean


def main() -> None:
    """Read a request from standard input, write its answer to standard output: a line of JSON, then bytes."""
    make_imports_lean()
    if hasattr(os, "setpgrp"):
        os.setpgrp()  # so that the daemon can end us with all that we start
    request = json.load(sys.stdin)
    out, sys.stdout = sys.stdout.buffer, sys.stderr  # what libraries print is not the answer
    if request["do"] == "types":
        out.write(json.dumps(types(request["names"])).encode())
        return
    head, body = convert(request)
    out.write(json.dumps(head).encode() + b"\n" + body)


def types(names: list[str]) -> dict[str, str]:
    """The media type of what each exporter makes."""
    from nbconvert.exporters.base import get_exporter

    found = {}
    for name in names:
        try:
            found[name] = get_exporter(name).output_mimetype
        except Exception as error:  # noqa: BLE001 - one that can not be loaded is not offered
            print(f"{name}: {error}", file=sys.stderr)  # noqa: T201
    return found


def convert(request: dict[str, Any]) -> tuple[dict[str, str], bytes]:
    """Convert; the media type, the file name's extension, and the result.

    An exporter that makes further files (images) gives a ZIP archive of all.
    """
    from nbconvert.exporters.base import get_exporter
    from nbformat import from_dict

    exporter = get_exporter(request["format"])(config=settings(request["config"]))
    if request["sanitize"] is not None and request["format"] == "html":
        exporter.sanitize_html = request["sanitize"]
    output, resources = exporter.from_notebook_node(from_dict(request["notebook"]), resources=request["resources"])
    body = output.encode() if isinstance(output, str) else output
    extension = resources["output_extension"]
    if resources.get("outputs"):
        name = request["resources"]["metadata"]["name"] + extension
        return {"media_type": "application/zip", "extension": ".zip"}, archive(name, body, resources["outputs"])
    return {"media_type": exporter.output_mimetype or "", "extension": extension}, body


def settings(plain: dict[str, dict[str, Any]]) -> Any:
    """Settings as traitlets wants them; strings may be from a command line, their traits read them."""
    from traitlets.config import Config
    from traitlets.config.loader import DeferredConfigString

    return Config(
        {
            section: {
                key: DeferredConfigString(value) if isinstance(value, str) else value for key, value in traits.items()
            }
            for section, traits in plain.items()
        }
    )


def archive(name: str, body: bytes, files: dict[str, bytes]) -> bytes:
    """A ZIP archive of the result and the files that belong to it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archived:
        archived.writestr(os.path.basename(name), body)
        for path, data in files.items():
            archived.writestr(os.path.basename(path), data)
    return buffer.getvalue()


if __name__ == "__main__":
    main()
