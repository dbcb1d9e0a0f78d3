"""Extension host, the child's side: the program that runs server extensions written for the Jupyter Server.

The daemon starts and watches it from :mod:`jupyterd.extensions`. It is the only part that imports ``jupyter_server``
and Tornado; nothing of the daemon imports it. Its ``ServerApp`` is the real one, with adapters in place of the
managers: kernels, sessions, contents and events are the daemon's.
"""
