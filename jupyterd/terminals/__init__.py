"""Terminals: shells on pseudo-terminals of the daemon, shown by clients over websockets."""
