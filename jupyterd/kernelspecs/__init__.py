"""Kernelspecs: which kernels are installed, and their logos."""
