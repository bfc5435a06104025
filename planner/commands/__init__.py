"""The commands whose behaviour is more than a few lines, a file each; `run` is what they share.

They are where the pure core, the state, the client and the terminal meet; `cli` turns options into calls of them.
"""
