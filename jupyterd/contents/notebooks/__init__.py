"""Notebooks: serialization, validation, trust and signatures."""
