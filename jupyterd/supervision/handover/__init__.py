"""What a server hands over: its sockets to its successor, its kernels to nobody but the next start of it."""
