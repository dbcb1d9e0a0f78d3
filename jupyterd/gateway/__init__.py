"""Kernels that run on a gateway: a Jupyter Kernel Gateway, an Enterprise Gateway or another Jupyter Server."""
