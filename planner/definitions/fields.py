"""The kinds of field that a resource type can have: what each accepts, and of which elements its values are.

A kind `expects` what people are told; its `problems` are what is wrong in a parsed value; its `elements` are the parts
by which two values are compared, by key (None: as a whole). The kinds are a closed union without a base class: `match`
over `Kind` is exhaustive, so mypy lists every one that a new kind concerns. Knows no resource type, no TOML, no API.
"""

from collections.abc import Mapping
from enum import Enum
from itertools import islice
from typing import Any, NamedTuple, TypeAlias

from planner.escape import find_in_another_form, tell_names_apart
from state.values import JSON

MAX_PROBLEMS_IN_A_VALUE = 100
"""How many problems of one value are reported: if a list has numbers instead of strings, each element is one."""
_MAX_WORD = 100
_SHOWN_BELOW = 2**63
Path: TypeAlias = tuple[str | int, ...]


class Problem(NamedTuple):
    """What is wrong in a value; `path` leads from the value to the part: a key of a table, an index of a list.

    `is_of_key`: it is that part's key that is wrong, not what it holds.
    """

    path: Path
    summary: str
    expected: str
    is_of_key: bool = False


def type_name(value: object) -> str:
    """What a parsed TOML or JSON value is, in the words of an error message."""
    names = {
        str: "a string",
        bool: "a boolean",
        int: "an integer",
        float: "a float",
        list: "a list",
        dict: "a table",
        type(None): "null",
    }
    return names.get(type(value), "a date or time")


def _wrong_type(value: object, noun: str, path: Path = (), expected: str = "") -> tuple[Problem, ...]:
    return (Problem(path, f"{type_name(value)} instead of {noun}", expected or noun),)


class String:
    expects = "a string"

    def problems(self, value: object) -> tuple[Problem, ...]:
        return () if type(value) is str else _wrong_type(value, self.expects)

    def elements(self, value: JSON) -> None:
        return None


class Boolean:
    expects = "true or false"

    def problems(self, value: object) -> tuple[Problem, ...]:
        return () if type(value) is bool else _wrong_type(value, self.expects)

    def elements(self, value: JSON) -> None:
        return None


class Integer(NamedTuple):
    """An integer from `minimum` to `maximum`, both included."""

    minimum: int
    maximum: int

    @property
    def expects(self) -> str:
        return f"an integer from {self.minimum} to {self.maximum}"

    def problems(self, value: object) -> tuple[Problem, ...]:
        if type(value) is not int:
            return _wrong_type(value, self.expects)
        if not self.minimum <= value <= self.maximum:
            # Python may refuse to write a longer one as text.
            shown = value if abs(value) < _SHOWN_BELOW else "the integer"
            return (Problem((), f"{shown} is out of range", self.expects),)
        return ()

    def elements(self, value: JSON) -> None:
        return None


class StringSet:
    """A list of strings without order; its elements are the strings."""

    expects = "a list of strings, without duplicates"

    def problems(self, value: object) -> tuple[Problem, ...]:
        if type(value) is not list:
            return _wrong_type(value, "a list of strings", expected=self.expects)
        found: list[Problem] = []
        seen: set[str] = set()
        for index, item in enumerate(value):
            if len(found) >= MAX_PROBLEMS_IN_A_VALUE:
                break
            if type(item) is not str:
                found += _wrong_type(item, "a string", (index,))
            elif item in seen:
                found.append(Problem((index,), "a string that is listed twice", self.expects))
            else:
                seen.add(item)
        return tuple(found)

    def elements(self, value: JSON) -> Mapping[str, JSON] | None:
        if not isinstance(value, list):
            return None
        strings = [item for item in value if isinstance(item, str)]
        return {item: item for item in strings} if len(strings) == len(value) else None


class KeyedList(NamedTuple):
    """A map that the API writes as a list of objects of two strings: `key` names an element, `value` what it holds."""

    key: str
    value: str

    @property
    def expects(self) -> str:
        return f'a list of {{ {self.key} = "…", {self.value} = "…" }}, each {self.key} once'

    def problems(self, value: object) -> tuple[Problem, ...]:
        if type(value) is not list:
            return _wrong_type(value, "a list of tables", expected=self.expects)
        found: list[Problem] = []
        seen: set[str] = set()
        for index, entry in enumerate(value):
            if len(found) >= MAX_PROBLEMS_IN_A_VALUE:
                break
            if type(entry) is not dict:
                found += _wrong_type(entry, "a table", (index,), f'{{ {self.key} = "…", {self.value} = "…" }}')
                continue
            name = entry.get(self.key)
            # Most entries are right, which one look tells. Only a wrong one is examined part by part.
            if len(entry) != 2 or type(name) is not str or type(entry.get(self.value)) is not str:
                found += _members(entry, (self.key, self.value), (self.key, self.value), (index,))
                continue
            if name in seen:
                found.append(Problem((index, self.key), f"a {self.key} that is listed twice", self.expects))
            seen.add(name)
        return tuple(found)

    def elements(self, value: JSON) -> Mapping[str, JSON] | None:
        if not isinstance(value, list):
            return None
        found: dict[str, JSON] = {}
        for entry in value:
            if not isinstance(entry, dict) or not isinstance(key := entry.get(self.key), str):
                return None
            # A key twice with two values has no meaning as a map: the list is compared as it is.
            if found.setdefault(key, entry.get(self.value)) != entry.get(self.value):
                return None
        return found


class Table(NamedTuple):
    """An object of strings; each of its `members` is optional. A member that is not declared is not managed."""

    members: tuple[str, ...]

    @property
    def expects(self) -> str:
        return f"a table of strings: {', '.join(self.members)}"

    def problems(self, value: object) -> tuple[Problem, ...]:
        if type(value) is not dict:
            return _wrong_type(value, "a table", expected=self.expects)
        if not value:
            return (Problem((), "an empty table", self.expects),)
        return tuple(_members(value, self.members, (), ()))

    def elements(self, value: JSON) -> Mapping[str, JSON] | None:
        return value if isinstance(value, dict) else None


Kind: TypeAlias = String | Boolean | Integer | StringSet | KeyedList | Table


def _members(table: dict[str, Any], known: tuple[str, ...], required: tuple[str, ...], at: Path) -> list[Problem]:
    expected = " and ".join(required) if required else "one of " + ", ".join(known)
    unknown = islice((key for key in table if key not in known), MAX_PROBLEMS_IN_A_VALUE)
    found = [
        Problem((*at, key), f'unknown key "{key}"', expected + closest(key, known), is_of_key=True) for key in unknown
    ]
    found += [Problem(at, f"{key} is missing", expected) for key in required if key not in table]
    for key in known:
        if key in table and type(table[key]) is not str:
            found += _wrong_type(table[key], "a string", (*at, key))
    return found


def closest(word: str, known: tuple[str, ...]) -> str:
    """`; did you mean "…"?` for the known word nearest to `word`, or nothing when none is near.

    Long words get no suggestion: nobody types them, and the time to compare two grows with the square of their length.
    """
    if len(word) > _MAX_WORD:
        return ""
    if not word.isascii() and (other := find_in_another_form(word, known)) is not None:
        shown, asked = tell_names_apart(other, word)
        return f"; did you mean {shown}, which is {asked} in another Unicode form?"
    import difflib  # noqa: PLC0415 - 7 ms that only a mistake needs

    lower = {k.lower(): k for k in known}
    near = difflib.get_close_matches(word.lower(), lower, n=1, cutoff=0.6)
    return f'; did you mean "{lower[near[0]]}"?' if near else ""


class Call(Enum):
    """A call of the API that changes a source; the value is its word in plans and JSON."""

    CREATE = "create"
    PATCH = "patch"
    FULL = "full update"
    DELETE = "delete"

    @property
    def method(self) -> str:
        """The HTTP method."""
        return "POST" if self in {Call.CREATE, Call.FULL} else self.name


ALL_CALLS = frozenset({Call.CREATE, Call.PATCH, Call.FULL})
NOT_PATCH = frozenset({Call.CREATE, Call.FULL})


class Field(NamedTuple):
    """One field of a resource type, by the API's own name.

    `description` is for editors. `nullable`: null is a value. `calls`: the calls that carry it; none: it is only in
    `data`. `required`: create and full update need it. `returned`: `data` always has it. `analysed`: it changes what
    experiments compute. `example` is its value in a new project; of a keyed list, its keys with their values.
    """

    name: str
    kind: Kind
    description: str = ""
    nullable: bool = False
    calls: frozenset[Call] = ALL_CALLS
    required: bool = False
    returned: bool = False
    analysed: bool = False
    example: JSON = None
