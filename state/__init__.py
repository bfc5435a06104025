"""The local truth about remote resources: a snapshot, the journal of every change attempted, and a lock.

What `state.store` promises to its users:

- A reader takes no lock and never waits: `read` returns a state that was true at one moment, also while another process
  writes, or after one died.
- One writer at a time: `open` takes the lock, or says who has it. It ends with its process; nobody has to force it.
- A record survives a power failure as soon as `Session.record` has returned. If it has not returned, the record is
  afterwards there completely or not at all.
- The snapshot is the old one or the new one; there is always one. It can be computed again from the journal.
- A request without a recorded outcome stays in `unresolved` until a record has its outcome.
- A changed byte, in either file, is noticed and refused. Refusing changes nothing.
- After one failure of the disk, a session writes nothing more; the next session repairs the files by itself.

Not promised: any of this on a network file system with unreliable locks, renames or syncs; to notice that both files
were replaced together by older ones; to find a forgery by somebody who can write the files.

The records are `state.records`, the errors `state.errors`, both files' formats the docstrings of `state.snapshot` and
`state.chain`. Nothing in here knows what a resource is, TOML or HTTP.
"""
