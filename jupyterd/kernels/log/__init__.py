"""Message log of a kernel: numbered, append-only, in memory first and then on disk; clients read it at cursors."""
