"""State of one server that outlives its daemon: which kernels, sessions, terminals and executions there are."""
