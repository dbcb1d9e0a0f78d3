"""Completion of command lines in shells: their scripts, and the words that are offered."""
