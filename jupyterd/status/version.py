"""The version that clients ask for."""

API_VERSION = "2.21.1"
"""The release of the Jupyter Server whose API this is.

Clients read ``/api``'s version as that of a Jupyter Server and decide by it what they may ask for (JupyterLab: from 2.0
on; the VS Code extension: whether it is a notebook server of the time before). jupyterd's own version is in the log's
first lines and in ``/metrics``.
"""
API_VERSION_INFO = (2, 21, 1)
