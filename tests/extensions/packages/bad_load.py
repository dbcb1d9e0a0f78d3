"""Can not be loaded."""


def _jupyter_server_extension_points():
    return [{"module": "bad_load"}]


def _load_jupyter_server_extension(app):
    raise KeyError("broken at load")
