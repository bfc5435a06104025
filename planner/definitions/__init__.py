"""What the files of a project say: settings, resource types, definitions, and where each of it stands.

A problem is a value, and all are told together. `parse` is pure; `project` alone reads files. Knows no plan, no API
and, of the state, only where it is.
"""
