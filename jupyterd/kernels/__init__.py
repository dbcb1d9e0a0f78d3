"""Kernels: their lives, their channels and their REST API."""
