"""Leaves while it is loaded."""

import sys


def _jupyter_server_extension_points():
    return [{"module": "bad_exit"}]


def _load_jupyter_server_extension(app):
    sys.exit(7)
