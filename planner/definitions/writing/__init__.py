"""Writes TOML: new definitions, and changes to a file that keep all other bytes of it."""
