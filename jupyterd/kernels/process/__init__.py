"""Processes of kernels on this machine: started, watched, and told apart by how they died."""
