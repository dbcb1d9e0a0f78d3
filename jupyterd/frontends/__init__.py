"""JupyterLab and Jupyter Notebook, served from the assets that their packages install.

Nothing of their Python code is imported into the daemon: ``import jupyterlab_server`` alone loads Tornado and the whole
of another server (700 modules, 55 MB, more than a second). What their handlers read (page configuration, settings
schemas, workspaces, language packs) are files with a layout of their own; these modules read the same files.
"""
