"""Channels of a kernel: its five sockets, what goes to it, what comes from it, who listens."""
