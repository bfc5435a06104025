"""From definitions and a snapshot to what is to be done: actions for people, requests for the API, in their order.

Pure: same input, same plan, to the byte. Knows no file, no network, no clock and no output.
"""
