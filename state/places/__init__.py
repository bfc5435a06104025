"""Where a state can be: in a folder of this machine, or in a store that several machines share.

`state.storage` says what a place must be able to do. A place knows the bytes of a state, and not what they mean.
"""
