"""Can not be imported."""

raise RuntimeError("broken at import")
