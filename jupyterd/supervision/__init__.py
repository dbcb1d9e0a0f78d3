"""The daemon among its neighbours: ports, signals, the service manager, the files that tell of it."""
