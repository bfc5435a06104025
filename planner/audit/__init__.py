"""The remote and the journal against the state: what moved, who did it, and what was changed when.

Pure: it compares what others listed and read. It sends nothing and changes nothing.
"""
