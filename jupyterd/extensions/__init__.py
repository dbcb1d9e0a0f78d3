"""Server extensions written for the Jupyter Server: run in a child process, the extension host, and reached through it."""
