"""Handover of a server: its sockets to its successor, its kernels to nobody but the next start of it."""
