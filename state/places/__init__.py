"""Where a state can be: in a folder of this machine, or in a store that several machines share.

What is asked of a place is the contract in `state.storage`. Knows the bytes of a state, and nothing of what they say.
"""
