"""Whether the key belongs to the Statsig project of this state. Pure: `run` asks the API."""

from __future__ import annotations

from planner.audit.drift import Remote
from planner.definitions.addresses import parts
from planner.errors import OtherProject
from state.snapshot import Snapshot


def is_project_of(snapshot: Snapshot, remote: Remote, found: str | None, asserted: str | None) -> bool:
    """Whether `found`, the ID of the key's project, can be recorded as that of the state.

    None: it can't be read. `asserted` is the ID that the user gave. If no ID is known, the names decide; a state with
    one source is never refused for its names.

    Raises:
        OtherProject: it is another project, or that is unknown.
    """
    known = snapshot.project
    names = [prior.name for address, prior in snapshot.resources.items() if parts(address)[0] in remote]
    there = {name for sources in remote.values() for name in sources}
    count = sum(name in there for name in names)
    is_like_it = len(names) < 2 or 2 * count >= len(names)
    if asserted is not None:
        if found not in (None, asserted):
            raise OtherProject(f"--project {asserted}: the key belongs to the Statsig project {found}")
    elif known.id is not None and found != known.id:
        its = "can't be read with this key" if found is None else f"is {found}"
        last = f", reached at {known.base_url}" if known.base_url else ""
        raise OtherProject(
            f"the state belongs to the Statsig project {known.id}{last}, and the ID of the key's project {its}"
        )
    elif known.id is None and not is_like_it:
        raise OtherProject(
            f"the remote has only {count} of the {len(names)} sources of the state: this looks like another project"
        )
    # If the user's ID differs from the known one, it counts for this run, and is not recorded.
    return is_like_it and known.id in (None, found)
