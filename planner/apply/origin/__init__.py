"""Where a run is from, as the journal names it: who runs it, on what machine or job, of which commit."""
