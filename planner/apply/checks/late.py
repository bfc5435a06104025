"""What our own requests may have changed after their outcome was taken to be "not applied".

A server may carry out a PATCH after its connection broke, and after the lists that showed nothing of it. Pure: `looks`
reads the journal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, TypeAlias

from planner.console.answers import kind_of
from planner.definitions.equality import is_same, is_shown_tidied
from state.records import Applied, Deleted, Forgotten, Imported, Intent, Moved, Record, Refreshed, Resolved
from state.values import Address, Object

if TYPE_CHECKING:
    from planner.apply.checks.conflicts import Conflict
    from planner.definitions.resources import ResourceType

Late: TypeAlias = Callable[[Address], Object]
"""The fields that requests for an address sent, and that may be carried out since; {} where there are none."""


def find_late(records: Iterable[Record]) -> Mapping[Address, Object]:
    """For each address the fields that were sent without an answer and that no list showed; `records` in their order.

    An answer for the address, or a list that the state took, ends it: the state has what came of it.
    """
    asked: dict[Address, Object] = {}
    late: dict[Address, Object] = {}
    for record in records:
        match record:
            case Intent(address):
                asked[address] = record.sent
            case Resolved(address, "not applied"):
                late[address] = {**late.get(address, {}), **asked.get(address, {})}
            case Applied(address) | Deleted(address) | Resolved(address) | Imported(address) | Refreshed(address):
                late.pop(address, None)
            case Forgotten(address):
                late.pop(address, None)
            case Moved(address, to) if address in late:
                late[to] = late.pop(address)
            case _:
                pass
    return late


def without_late(
    conflicts: Iterable[Conflict], type_: ResourceType, address: Address, late: Late
) -> Iterator[Conflict]:
    """The conflicts that are not such a request, carried out with the tidying that an API does to a value.

    Only where the definition still has the value that was sent: then nothing is lost, whoever wrote it.
    """
    for one in conflicts:
        sent, kind = late(address), kind_of(type_, one.field)
        if not (is_as_sent(one, type_, sent) and is_same(kind, sent[one.field], one.desired)):
            yield one


def is_as_sent(conflict: Conflict, type_: ResourceType, sent: Object) -> bool:
    """Whether the remote has what such a request sent, if perhaps tidied."""
    kind, name = kind_of(type_, conflict.field), conflict.field
    return name in sent and is_shown_tidied(kind, sent[name], conflict.actual)
