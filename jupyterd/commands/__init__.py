"""Commands that ask a server that runs: one file a command, over one small client."""
