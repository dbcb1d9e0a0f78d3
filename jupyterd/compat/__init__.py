"""Compatibility with classes and modules that are named after the Jupyter Server's."""
