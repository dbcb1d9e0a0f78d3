"""HTTP and websockets: the one layer between Twisted's protocols and the features."""
