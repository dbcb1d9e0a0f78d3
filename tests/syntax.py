"""Syntax trees of the project's own files."""

from __future__ import annotations

import ast
import gc
from pathlib import Path


def parsed(path: Path) -> ast.Module:
    """Parse a module.

    Without the garbage collector meanwhile: an object that ends in it may log a traceback, for which Python parses
    too, and one parser inside another ends with "AST constructor recursion depth mismatch" (CPython 106905).
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        return ast.parse(path.read_text(encoding="utf-8"))
    finally:
        if collects:
            gc.enable()
