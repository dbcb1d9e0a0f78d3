"""Keeper: one small process that is the parent of kernels and shells, and outlives the daemon that started it.

Its whole program is here: standard library and pyzmq. The daemon reaches it by its socket; what both sides have to know
(:mod:`~jupyterd.keeper.wire`, :mod:`~jupyterd.keeper.record`, :mod:`~jupyterd.keeper.screen_file`,
:mod:`~jupyterd.keeper.processes`, :mod:`~jupyterd.keeper.taken`) is imported by both, the rest by the program alone.
"""
