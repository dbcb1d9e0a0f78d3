"""Runs of notebooks on the server: queue, progress, parameters, routes."""
