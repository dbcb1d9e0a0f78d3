"""Extension host: a child process that runs server extensions written for the Jupyter Server.

It is the only part that imports ``jupyter_server`` and Tornado; nothing of the daemon imports it. Its ``ServerApp`` is
the real one, with adapters in place of the managers: kernels, sessions, contents and events are the daemon's.
"""
