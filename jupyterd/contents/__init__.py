"""Contents: notebooks, files and directories below one root, their checkpoints, uploads and downloads."""
