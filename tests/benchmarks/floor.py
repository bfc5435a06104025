"""The least that a Python program can do: import tomli and json, and parse the files that it is given.

Each is dropped at once: to keep them makes the garbage collector run, which a program can do without.
"""

import json
import sys

import tomli

for name in sys.argv[1:]:
    with open(name, "rb") as file:  # noqa: PTH123 - nothing else is imported
        content = file.read()
    if name.endswith(".json"):
        json.loads(content)
    else:
        tomli.loads(content.decode())
