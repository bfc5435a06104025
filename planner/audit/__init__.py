"""Compares the remote and the journal with the state: what drifted, who changed it, and when.

Pure: it compares what others listed and read. It sends nothing and changes nothing.
"""
