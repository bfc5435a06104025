"""A Console API on loopback, as strict as the published one, to try statform and to test against.

`api` is pure. Nothing of statform but the command line knows it, and it knows of statform only the resource types.
"""
