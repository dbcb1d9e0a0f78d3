"""Version that clients ask for."""

API_VERSION = "2.21.1"
"""The release of the Jupyter Server whose API this is.

Clients read ``/api``'s version, and the page's ``notebookVersion``, as that of a Jupyter Server, and decide by it what
they may ask for: JupyterLab 4.6 offers to sanitize exported HTML from 2.18 on. jupyterd's own version is in the log's
first lines and in ``/metrics``.
"""
API_VERSION_INFO = (2, 21, 1)
