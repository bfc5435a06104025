"""Statsig's Console API: what it is called, what it answers, and how one asks it.

Knows no plan, and of the state only the records of an outcome. It sends what it is told to, and says what came of it.
"""
