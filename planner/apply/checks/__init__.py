"""Reasons against a plan, found by listing the remote, before anything is sent. Pure: `run` asks the API."""
