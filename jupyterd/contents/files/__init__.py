"""Files on disk, without models: atomic writes, recovery, listings, copies, removal."""
