"""Outputs that cells have said, computed from the messages in a kernel's log."""
