"""The commands, a file each, and `common`, which is what they share.

They are where the pure core, the state, the client and the terminal meet; `cli` turns options into calls of them.
A file loads what it needs at its top; what it loads later says why.
"""
