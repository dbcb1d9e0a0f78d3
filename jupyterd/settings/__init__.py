"""Settings: command line, configuration files and environment become one ServerApp and one traitlets Config."""
