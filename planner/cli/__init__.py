"""The command line: what click knows of each command, a file each, and `main`, where every error becomes text.

A file reads the options of its command and calls the file of that name in `commands`, which it loads only then.
"""
