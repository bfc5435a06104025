"""Where a run comes from, for the journal: who runs it, on which machine or in which job, with which commit."""
