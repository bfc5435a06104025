"""The requests of a plan: each recorded, sent, and recorded with its answer; and what became of one that got none.

Knows nothing of whoever looks on: who is told is an effect, as are the clock and the journal.
"""
