"""The local truth about remote resources: a snapshot, the journal of every change attempted, and a lock.

What is promised, to whoever uses `state.store`:

- Who reads takes no lock and waits for nobody: `read` gives a state that was true at one moment, while another process
  writes or after one died.
- One writer at a time: `open` takes the lock or says who has it. It ends with its process; there is nothing to force.
- What `Session.record` returned from survives a power failure. What it did not return from is afterwards there whole or
  not at all.
- The snapshot is the old one or the new one, never neither. It is the journal's replay, and could be thrown away.
- A request whose outcome nobody recorded stays in `unresolved` until a record says what became of it.
- A byte that changed, in either file, is noticed and refused. Refusing changes nothing.
- After the disk failed once, a session writes nothing more; the next one puts all in order without help.

Not promised: any of this on a network file system whose locks, renames or syncs don't hold; to notice that both files
were put back to an older state together; to withstand who can write the files and wants to forge them.

The records are `state.records`, the errors `state.errors`, both files' formats the docstrings of `state.snapshot` and
`state.chain`. Nothing in here knows what a resource is, TOML or HTTP.
"""
