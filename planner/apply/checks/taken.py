"""The new names in a plan that a remote source already has, perhaps in another Unicode form.

"é" is one character, or an "e" with an accent behind it: people can't distinguish two such names, and an API may
confuse them. Pure: `run` lists the remote.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from attrs import define, field

from planner.audit.drift import Remote
from planner.definitions.addresses import RemoteName, parts
from planner.definitions.definition import Definitions
from planner.definitions.fields import Call
from planner.errors import Diagnostic
from planner.escape import in_one_form, tell_names_apart
from planner.plan.build import Plan
from planner.plan.order import Request
from state.advice import advise
from state.snapshot import Snapshot
from state.values import Address


def find_taken(plan: Plan, definitions: Definitions, snapshot: Snapshot, remote: Remote) -> Iterator[Diagnostic]:
    """The new names that a source already has, if this plan does not rename that source first."""
    # Most plans give no name, and there may be many.
    types = {parts(request.address)[0] for request in plan.requests if "name" in request.body}
    names = {type_name: _Names.of(remote[type_name]) for type_name in types}
    holders = {RemoteName.at(address, one.name): address for address, one in snapshot.resources.items()}
    for request in plan.requests:
        taken, there = request.body.get("name"), names.get(parts(request.address)[0])
        if there is None:
            continue
        if request.call is Call.DELETE:
            there.names.discard(request.name)
        elif isinstance(taken, str):
            is_there = taken in there.names
            # A source may get its own name in another form.
            other = taken if is_there else there.find_in_another_form(taken, but=request.name)
            # An API that has both forms can tell them apart.
            if other is not None and (is_there or not {taken, other} <= remote[parts(request.address)[0]].keys()):
                holder = holders.get(RemoteName.at(request.address, other))
                is_free = holder is None and other in remote[parts(request.address)[0]]
                yield _there_already(request, taken, other, holder, definitions, may_be_it=is_free)
            there.names.discard(request.name)
            there.add(taken)


@define(eq=False, repr=False)
class _Names:
    """The names that there are; `_forms` has those that are not ASCII by their NFC, also of what is gone again."""

    names: set[str] = field(factory=set)
    _forms: defaultdict[str, list[str]] = field(factory=lambda: defaultdict(list))

    @classmethod
    def of(cls, names: Iterable[str]) -> _Names:
        found = cls()
        for name in names:
            found.add(name)
        return found

    def add(self, name: str) -> None:
        self.names.add(name)
        if not name.isascii():
            self._forms[in_one_form(name)].append(name)

    def find_in_another_form(self, name: str, *, but: str) -> str | None:
        form = in_one_form(name)
        there = (one for one in (form, *self._forms.get(form, ())) if one in self.names)
        return next((one for one in there if one not in {name, but}), None)


def _there_already(
    request: Request, name: str, other: str, holder: Address | None, definitions: Definitions, *, may_be_it: bool
) -> Diagnostic:
    """That the name is taken, by a source that is called `other`: so, or the same in another form."""
    by = f", at {holder}" if holder is not None else ""
    expected = "a name that no source has yet"
    if name != other:
        shown, taken = tell_names_apart(name, other)
        summary = f"the remote name {shown} is already taken in another Unicode form, {taken}{by}"
        if request.call is Call.CREATE and may_be_it:
            expected = f"name = {taken} and adopt = true in its table, if both are the same source; else {expected}"
    elif request.call is Call.CREATE:
        summary = f'the remote already has a source named "{name}"{by}'
        if holder is None:
            expected = f"`{advise('import', request.address, name)}`, or adopt = true in its table"
    else:
        summary = f'the remote name "{name}" is already taken{by}'
        if name != definitions.resources[request.address].name:
            summary += f", and {request.address} needs it for a moment, because names are swapped"
            expected = "that source renamed or deleted; or two applies, of which the first gives one a name of its own"
    return Diagnostic(summary, expected, definitions.locate(request.address, "name"), request.address, "name")
