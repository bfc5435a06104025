"""The differences between a definition and its prior, field by field.

Knows no order and no requests: an action says what a user means, `order` what is sent for it.
"""

from collections.abc import Iterable
from enum import Enum
from typing import NamedTuple, TypeAlias

from planner.definitions.definition import Definition
from planner.definitions.equality import is_same, is_satisfied
from planner.definitions.fields import Call, Field, Kind, String, Table
from planner.definitions.resources import ResourceType
from planner.plan import verbs
from planner.plan.verbs import Verb
from state.snapshot import ResourceState
from state.values import JSON, Address


class Absent(Enum):
    """No value at all; null is a value."""

    ABSENT = "absent"


ABSENT = Absent.ABSENT
Value: TypeAlias = JSON | Absent

_CALLS = {verbs.CREATE: Call.CREATE, verbs.DELETE: Call.DELETE}
NAME = Field("name", String(), required=True, returned=True)
"""The remote name, which every resource type has."""


class ElementChange(NamedTuple):
    """An element of a set, a keyed list or a table; ABSENT before: added, ABSENT after: removed."""

    key: str
    before: Value
    after: Value


class FieldChange(NamedTuple):
    """A field from its prior to its desired value; `elements` when it compares by them.

    `before` is ABSENT if no prior is known; `after` is never ABSENT. If somebody else changed the field and nobody has
    agreed to that yet, `unconfirmed` is the value before their change: `apply` does not undo it without being asked.
    Otherwise it is ABSENT.
    """

    field: Field
    before: Value
    after: JSON
    elements: tuple[ElementChange, ...] | None
    unconfirmed: Value = ABSENT

    @classmethod
    def of(cls, field: Field, before: Value, after: JSON, unconfirmed: Value = ABSENT) -> "FieldChange":
        """The change, with the elements that differ."""
        return cls(field, before, after, element_changes(field.kind, before, after), unconfirmed)


class Action(NamedTuple):
    """What the plan does to one address. `name` is the remote name before it.

    `moved_from` is the address in the state, if that is another one. `is_seen`, of an adoption: a look at the remote
    has told the values before.
    """

    address: Address
    type: ResourceType
    verb: Verb
    name: str
    changes: tuple[FieldChange, ...] = ()
    moved_from: Address | None = None
    is_seen: bool = False

    @property
    def call(self) -> Call | None:
        """The API call that carries it out; None: nothing is sent."""
        if not self.verb.sends:
            return None
        if self.verb in _CALLS:
            return _CALLS[self.verb]
        # All changes of a source go in one request: so one field that PATCH can't carry decides for all of them.
        fits = self.type.has_patch and all(Call.PATCH in change.field.calls for change in self.changes)
        return Call.PATCH if fits else Call.FULL

    @property
    def new_name(self) -> str | None:
        """The remote name after a rename, None when there is none."""
        # The name comes first in the order of the table.
        first = self.changes[0] if self.changes else None
        return first.after if first and first.field is NAME and isinstance(first.after, str) else None


def diff(definition: Definition, prior: ResourceState | None) -> Action:
    """The action that leads from the prior to what the definition declares.

    Without a prior, the source is created with every declared field that has a value. If the definition says that the
    source is there, it is adopted: then every declared field is a change, because nobody has looked at the remote yet.
    """
    type_, fields = definition.type, definition.type.field
    if prior is None and not definition.adopts:
        # A source that is not there yet has nothing that could be cleared.
        declared = ((fields[name], value) for name, value in definition.values.items() if value is not None)
        changes = (FieldChange.of(field, ABSENT, value) for field, value in declared)
        return Action(definition.address, type_, verbs.CREATE, definition.name, _in_table_order(changes, type_))
    if prior is None:
        changes = (FieldChange.of(fields[name], ABSENT, value) for name, value in definition.values.items())
        return Action(definition.address, type_, verbs.ADOPT, definition.name, _in_table_order(changes, type_))
    values = prior.values
    changed = [
        FieldChange.of(fields[name], values.get(name, ABSENT), value)
        for name, value in definition.values.items()
        # Most values of a large plan are equal: this saves a call for each. The types too: to Python, 1 equals True.
        if ((actual := values.get(name)) != value or type(actual) is not type(value))
        and not is_satisfied(fields[name].kind, value, actual)
        and not is_same_but_for_line_ends(value, actual)
    ]
    # Compare with the name in the API's last answer, if it had one: a server may have tidied the one that we asked for.
    if values.get("name", prior.name) != definition.name:
        changed.append(FieldChange.of(NAME, prior.name, definition.name))
    if not changed:
        return Action(definition.address, type_, verbs.NO_OP, prior.name)
    if prior.unconfirmed:
        changed = [_unconfirmed(change, prior) for change in changed]
    return Action(definition.address, type_, verbs.UPDATE, prior.name, _in_table_order(changed, type_))


def _unconfirmed(change: FieldChange, prior: ResourceState) -> FieldChange:
    """The change, with the value before somebody else's change if it would undo that."""
    before = prior.unconfirmed.get(change.field.name, ABSENT)
    is_undone = before is not ABSENT and not is_same(change.field.kind, before, prior.values.get(change.field.name))
    return change._replace(unconfirmed=before) if is_undone else change


def _in_table_order(changes: Iterable[FieldChange], type_: ResourceType) -> tuple[FieldChange, ...]:
    """The changes in the order of the resource table, the name first. Where a field stands in a file does not count."""
    order = [NAME, *type_.fields]
    return tuple(sorted(changes, key=lambda change: order.index(change.field)))


def element_changes(kind: Kind, before: Value, after: JSON) -> tuple[ElementChange, ...] | None:
    """The elements that differ: changed and added in the order of `after`, then removed in that of `before`.

    None when a value has none: one that is cleared, or of another shape than its kind says.
    """
    prior = {} if before is ABSENT or before is None else kind.elements(before)
    desired = kind.elements(after)
    if prior is None or desired is None:
        return None
    changes = [
        ElementChange(key, prior.get(key, ABSENT), value)
        for key, value in desired.items()
        if key not in prior or prior[key] != value
    ]
    # A member of a table that is not declared is not managed: it is not removed.
    gone = () if isinstance(kind, Table) else (key for key in prior if key not in desired)
    changes += [ElementChange(key, prior[key], ABSENT) for key in gone]
    return tuple(changes)


def is_same_but_for_line_ends(desired: JSON, actual: JSON) -> bool:
    """Whether two texts differ only in that the remote one has CR LF for LF. A definition file can only say LF.

    A plan leaves such a source as it is. If somebody changes the line ends at the remote, that is still drift.
    """
    if not isinstance(desired, str) or not isinstance(actual, str) or "\r" in desired:
        return False
    return actual.replace("\r\n", "\n") == desired
