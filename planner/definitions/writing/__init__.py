"""TOML going out: new definitions, and changes of a file that leave the rest of it as it is."""
