"""Addresses beside the one of ``ip`` and ``port``, or ``sock``; what is said to plain HTTP on a TLS port."""
