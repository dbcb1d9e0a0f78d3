"""Events: what happens on the server, told to those who listen, each kind described by a schema."""
