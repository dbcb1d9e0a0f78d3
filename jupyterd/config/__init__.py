"""Settings of front ends, kept by the server: ``/api/config``."""
