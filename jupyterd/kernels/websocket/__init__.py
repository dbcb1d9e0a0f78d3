"""Websockets of kernels: ``/api/kernels/<id>/channels`` in both wire protocols."""
