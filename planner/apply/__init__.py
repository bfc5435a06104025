"""Carrying a plan out: recover, plan, look, ask, check, send, commit; and a run, which holds what that needs.

Everything that changes the remote passes through here. Knows no command line and no text for people.
"""
