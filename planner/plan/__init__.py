"""Makes a plan from definitions and a snapshot: actions for people, requests for the API, in order.

Pure: same input, same plan, to the byte. Knows no file, no network, no clock and no output.
"""
