"""Statsig's Console API: its names, its answers, and the client.

Knows no plan, and of the state only the records of an outcome. It sends what it is told to send, and returns the
outcome.
"""
