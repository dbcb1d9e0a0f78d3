"""jupyterd: the Jupyter Server as a Twisted daemon."""

__version__ = "0.1.0"

DEFAULT_JUPYTER_SERVER_PORT = 8888
