"""JupyterLab: its pages, its REST API, its settings, workspaces, themes and translations."""
