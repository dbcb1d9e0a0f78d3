"""Processes of this machine, as others left them."""
