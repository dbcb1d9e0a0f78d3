"""Operating system: threads, child processes, directories and sockets of this machine."""
