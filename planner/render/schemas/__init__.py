"""JSON Schemas of what the commands print with `--json`.

They say which keys there are and which are always there, and leave room for keys to be added, as planner/README.md
promises. The tests hold all that is printed against them, and there allow no key that is not in here.
"""
