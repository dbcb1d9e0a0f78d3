"""Server extensions written for the Jupyter Server: a child process, the extension host, runs them."""
