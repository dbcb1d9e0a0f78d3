"""Worker process of contents: large notebooks are read and written in a child, not in the daemon."""
