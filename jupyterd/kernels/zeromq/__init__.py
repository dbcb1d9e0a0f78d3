"""ZeroMQ sockets on the reactor, and their high-water marks."""
