"""Whether the key is of the Statsig project whose state this is. Pure: `run` asks the API."""

from __future__ import annotations

from planner.audit.drift import Remote
from planner.definitions.addresses import parts
from planner.errors import OtherProject
from state.snapshot import Snapshot


def is_project_of(snapshot: Snapshot, remote: Remote, found: str | None, asserted: str | None) -> bool:
    """Whether `found`, the ID of the key's project, can be recorded as that of the state.

    None: it can't be read. `asserted` is the ID that somebody vouches for. Where no ID is known, the names tell: a
    state of one source is never refused so.

    Raises:
        OtherProject: it is another project, or that can't be told.
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
    # Asserted against what is known is so this once, and not recorded.
    return is_like_it and known.id in (None, found)
