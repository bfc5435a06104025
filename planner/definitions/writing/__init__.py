"""Writes TOML: new definitions, and changes of a file that keep the rest of it as it is."""
