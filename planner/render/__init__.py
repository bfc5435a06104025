"""Strings for people and for tools, made of plans, reports, audits and diagnostics.

Nothing here prints, decides, or reads a file. A module is named by its subject first, then by its form.
"""
