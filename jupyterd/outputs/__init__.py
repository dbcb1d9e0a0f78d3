"""Outputs of notebooks' cells, from kernels' message logs: to the file, to pages, by runs on the server."""
