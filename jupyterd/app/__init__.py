"""Composition root: each object of the daemon is built here, each URL prefix mounted here."""
