"""Benchmarks of jupyterd beside the reference server, in one run, both started alike. See README.md."""
