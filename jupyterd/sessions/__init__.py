"""Sessions: which document runs on which kernel."""
