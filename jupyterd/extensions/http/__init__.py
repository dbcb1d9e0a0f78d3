"""Requests to and from the extension host."""
