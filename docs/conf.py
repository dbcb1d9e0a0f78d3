"""Documentation as a site: ``tox -e docs`` builds it into build/site, with warnings as errors."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, os.path.abspath(".."))

import jupyterd

project = "jupyterd"
author = "The jupyterd maintainers"
version = release = jupyterd.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_copybutton"]
source_suffix = {".md": "markdown"}
root_doc = "index"
exclude_patterns = ["README.md"]
"""docs/README.md is the index of who reads the files as they are; index.md is the site's."""

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 4
myst_fence_as_directive = ["mermaid"]
suppress_warnings = ["myst.header"]

autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_typehints = "description"
autodoc_member_order = "bysource"
autodoc_mock_imports: list[str] = []

html_theme = "furo"
html_title = f"jupyterd {release}"
html_show_sphinx = False
html_copy_source = False


# -- Diagrams: drawn in the browser by a copy of mermaid beside the pages; without npm they stay text.

MERMAID = "mermaid@11"
DRAW = """const dark = matchMedia('(prefers-color-scheme: dark)').matches
mermaid.initialize({startOnLoad: true, theme: dark ? 'dark' : 'default'})"""


def fetch_mermaid(app: Any) -> None:
    """Put mermaid.min.js into the site's static files, from the npm package."""
    target = Path(app.outdir, "_static", "mermaid.min.js")
    if target.exists() or shutil.which("npm") is None:
        return
    with tempfile.TemporaryDirectory() as work:
        done = subprocess.run(["npm", "pack", MERMAID, "--silent"], cwd=work, capture_output=True, timeout=120)
        if done.returncode:
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        with tarfile.open(next(Path(work).glob("*.tgz"))) as package:
            script = package.extractfile("package/dist/mermaid.min.js")
            assert script is not None
            target.write_bytes(script.read())


def add_scripts(app: Any, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Load it on pages that have a diagram."""
    if doctree is not None and 'class="mermaid' in context.get("body", ""):
        app.add_js_file("mermaid.min.js")
        app.add_js_file(None, body=DRAW)


def setup(app: Any) -> None:
    """Register the directive and the hooks."""
    from html import escape

    from docutils import nodes
    from docutils.parsers.rst import Directive

    class Mermaid(Directive):
        """A diagram, as ```` ```mermaid ```` has it."""

        has_content = True

        def run(self) -> list[nodes.Node]:
            return [nodes.raw("", f'<pre class="mermaid">{escape(chr(10).join(self.content))}</pre>', format="html")]

    app.add_directive("mermaid", Mermaid)
    app.connect("builder-inited", fetch_mermaid)
    app.connect("html-page-context", add_scripts)
