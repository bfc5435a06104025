"""The least that a Python program can do: import tomli and json, and parse the files that it is given."""

import json
import sys

import tomli

parsed = []
for name in sys.argv[1:]:
    with open(name, "rb") as file:  # noqa: PTH123 - nothing else is imported
        content = file.read()
    # Kept, as a plan must keep both sides to compare them.
    parsed.append(json.loads(content) if name.endswith(".json") else tomli.loads(content.decode()))
