"""Imports: names that are loaded when they are first used, and libraries that load less than they would."""
