"""Reads the files of a project: settings, resource types, definitions, and the place of each in its file.

A problem is a value, and all problems are reported together. `parse` is pure; `project` alone reads files. Knows no
plan, no API and, of the state, only where it is.
"""
