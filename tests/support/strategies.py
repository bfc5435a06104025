"""Definition files, states and servers, drawn by hypothesis: shaped like real ones, or nearly so."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import strategies as st

from planner.definitions.fields import Boolean, Call, Integer, KeyedList, Kind, String, StringSet, Table
from planner.definitions.optional.variables import quote_references
from planner.definitions.resources import ASSIGNMENT_SOURCE

FEW_STRINGS = ("", "a", "A", " a ", "b", "é", "e\u0301", "ts", "user_id", 'say "x"', "x\\y", "two\nlines")
strings = st.sampled_from(FEW_STRINGS) | st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
scalars = st.none() | st.booleans() | st.integers(-2, 30) | st.floats(allow_nan=False, allow_infinity=False) | strings
json_values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(strings, inner, max_size=3), max_leaves=6
)


def values_of(kind: Kind) -> st.SearchStrategy[Any]:
    """Values that the kind accepts."""
    match kind:
        case String():
            return strings
        case Boolean():
            return st.booleans()
        case Integer():
            return st.integers(kind.minimum, kind.maximum)
        case StringSet():
            return st.lists(strings, max_size=4, unique=True)
        case KeyedList():
            pairs = st.dictionaries(strings, strings, max_size=3)
            return pairs.map(lambda d: [{kind.key: key, kind.value: value} for key, value in d.items()])
        case Table():
            return st.dictionaries(st.sampled_from(kind.members), strings, min_size=1)


@st.composite
def declared_values(draw: Any, *, with_sql: bool = False) -> dict[str, Any]:
    """The fields of one assignment source as a definition holds them: any subset, null where it may be."""
    values = {}
    for field in ASSIGNMENT_SOURCE.fields:
        if (Call.PATCH in field.calls or with_sql) and draw(st.booleans()):
            of_kind = values_of(field.kind)
            values[field.name] = draw(st.none() | of_kind if field.nullable else of_kind)
    return values


def toml_string(text: str) -> str:
    """A basic string: JSON's escapes are TOML's too, and DEL is the one that JSON leaves as it is."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def toml_value(value: Any) -> str:
    match value:
        case str():
            return toml_string(value)
        case list():
            return "[" + ", ".join(map(toml_value, value)) + "]"
        case dict():
            return "{ " + ", ".join(f"{toml_string(k)} = {toml_value(v)}" for k, v in value.items()) + " }"
        case _:
            return json.dumps(value)


def toml_definition(key: str, values: Mapping[str, Any], name: str | None = None, needs: Sequence[str] = ()) -> str:
    """`[assignment_source.<key>]` with these values, which may be adopted; those that are None are cleared.

    A text that looks like a variable stands for itself.
    """
    lines = [f"[assignment_source.{key}]"]
    lines += [f"{field} = {toml_value(value)}" for field, value in values.items() if value is not None]
    if cleared := [field for field, value in values.items() if value is None]:
        lines.append(f"clear = {toml_value(cleared)}")
    if name is not None:
        lines.append(f"name = {toml_string(name)}")
    if needs:
        lines.append(f"depends_on = {toml_value(list(needs))}")
    lines.append("adopt = true")
    return quote_references("\n".join(lines) + "\n")


_FIELDS = [f.name for f in ASSIGNMENT_SOURCE.fields]
_KEYS = st.sampled_from(["a", "b", "x-1", "_", '""', '"a.b"', '"é"', "'a b'", "name"])
_HEADS = ["statform", "statform.pacing", "defaults", "defaults.assignment_source", "assignment_source", "nothing"]
_ADDRESSES = st.sampled_from(["assignment_source.a", "assignment_source.b", "assignment_source.x-1", "nothing.a", ""])
_MEMBERS = st.sampled_from(["statsigUnitID", "column", "ownerID", "ownerType", "other"])
_SETTINGS = ["required_version", "state", "max_changes", "respect_review_settings", "per_10_seconds", "per_15_minutes"]
_ODD = ["inf", "-nan", "1979-05-27", "07:32:00", "1e400", "9223372036854775808", "0xfff", "'''\n\r\n'''", "[[[[]]]]"]
_VALUES = st.one_of(
    strings.map(toml_string),
    st.sampled_from([*_ODD, "true", "5", "5.0", '""', '"30%"', '">=0.1"', '"."', '"x.json"', "[]", "{}"]),
    st.lists(strings.map(toml_string), max_size=3).map(lambda items: f"[{', '.join(items)}]"),
    st.lists(_ADDRESSES.map(toml_string), max_size=2).map(lambda items: f"[{', '.join(items)}]"),
    st.lists(st.sampled_from(_FIELDS).map(toml_string), max_size=3).map(lambda items: f"[{', '.join(items)}]"),
    st.lists(st.dictionaries(_MEMBERS, scalars.filter(lambda v: v is not None), max_size=3), max_size=3).map(
        toml_value
    ),
    st.dictionaries(_MEMBERS, strings, max_size=3).map(toml_value),
)
_PAIRS = st.tuples(
    st.sampled_from([*_FIELDS, *_SETTINGS, "name", "clear", "depends_on", "adopt", "absent", "pacing", "tags.x"]),
    _VALUES,
)


@st.composite
def nearly_definitions(draw: Any) -> str:
    """A document shaped like a definition file, in which anything may be wrong."""
    lines: list[str] = []
    for _ in range(draw(st.integers(0, 4))):
        is_definition = draw(st.integers(0, 3)) > 0
        head = f"assignment_source.{draw(_KEYS)}" if is_definition else draw(st.sampled_from(_HEADS))
        lines.append(f"[[{head}]]" if draw(st.integers(0, 9)) == 0 else f"[{head}]")
        pairs = draw(st.lists(_PAIRS, max_size=4, unique_by=lambda pair: pair[0]))
        lines += [f"{key} = {value}" for key, value in pairs]
    return "\n".join(lines)


class ModelServer:
    """A Console API in memory: names are unique, a PATCH merges, `data` has what the server keeps.

    It is faithful, in its manner: `reverses` lists, `tidies` strings, and leaves `omitted` fields out of `data`.
    """

    def __init__(self, sources: Mapping[str, Mapping[str, Any]]) -> None:
        self.sources = {name: {**source, "name": name} for name, source in sources.items()}
        self.reverses = self.tidies = False
        self.omitted: frozenset[str] = frozenset()

    def patch(self, name: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """`data` of the answer.

        Raises:
            KeyError: no such source, or a name that is taken.
        """
        new_name = body.get("name", name)
        if name not in self.sources or (new_name != name and new_name in self.sources):
            raise KeyError(f"{name} -> {new_name}")
        source = self.sources.pop(name) | {key: self._keep(value) for key, value in body.items()}
        # Whether null or absent stands for no value is the server's choice.
        self.sources[new_name] = source | {"name": new_name}
        return {key: value for key, value in self.sources[new_name].items() if key not in self.omitted}

    def _keep(self, value: Any) -> Any:
        if isinstance(value, str) and self.tidies:
            return value.strip().lower()
        if isinstance(value, list):
            kept = [self._keep(item) for item in value]
            return kept[::-1] if self.reverses else kept
        if isinstance(value, dict):
            added = {} if "statsigUnitID" in value else {"seenBy": "the server"}
            return {**{key: self._keep(item) for key, item in value.items()}, **added}
        return value
