"""HTTP server: twisted.web's site, channel and request, made stricter and bounded in time."""
