"""The requests of a plan: each is recorded, sent, and recorded with its answer; and the outcome of requests without an
answer is found out.

The output, the clock and the journal are passed in as effects.
"""
