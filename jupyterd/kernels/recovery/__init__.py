"""Kernels of a former daemon: found again, their logs gone on with, without a message lost or doubled."""
