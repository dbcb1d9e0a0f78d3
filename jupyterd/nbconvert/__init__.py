"""Notebooks converted to other formats, each in a child process: nbconvert takes seconds, and 50 MB, to import."""
