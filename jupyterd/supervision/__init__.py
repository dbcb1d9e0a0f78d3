"""Supervision: ports, signals, the service manager, the files that tell of the daemon, its end."""
