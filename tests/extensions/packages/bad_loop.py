"""Never ends while it is loaded."""


def _jupyter_server_extension_points():
    return [{"module": "bad_loop"}]


def _load_jupyter_server_extension(app):
    while True:
        pass
