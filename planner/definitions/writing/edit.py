"""Changes values of a definition in its TOML text, and keeps every other byte.

It replaces the spans that `positions` knows, then parses the result and compares. tomlkit can't do this: it moves
tables to other places, drops comments in and after what it changes, and ends a new line in LF in a file of CR LF.
`tests/definitions/test_edit.py` has such texts. Pure: texts in, texts out.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from copy import deepcopy
from typing import Any, NamedTuple, TypeAlias

import tomli

from planner.definitions.positions import Position, find, has_comment
from planner.definitions.writing.write import format_toml
from state.values import JSON


class CanNotEdit(Exception):
    """A field can't be changed in place; says why."""


class _Edit(NamedTuple):
    """The text from `start` to `end` is replaced. `rank`: the order of edits that begin at the same place."""

    start: int
    end: int
    text: str
    rank: int = 0


class _Insertion(NamedTuple):
    """Where a new pair goes, and what has to stand before and after it there."""

    at: int
    before: str
    after: str
    rank: int = 0


Table: TypeAlias = tuple[str, str]
"""The type and the key of a definition."""


class Changes(NamedTuple):
    """The fields of a table that get a value, and those that are removed."""

    sets: Mapping[str, JSON]
    removes: Collection[str] = ()


def edit_tables(text: str, changes: Mapping[Table, Changes]) -> str:
    """The text with these changes made; a table that is not there is added at the end.

    Raises:
        CanNotEdit: a field is written in a way that can't be changed without loss.
    """
    bom = "\ufeff" if text.startswith("\ufeff") else ""
    text = text.removeprefix(bom)
    document: dict[str, Any] = tomli.loads(text)
    edits: list[_Edit] = []
    for table, (sets, removes) in changes.items():
        editor = _Editor(text, table, document)
        edits += [edit for field, value in sets.items() for edit in editor.set(field, value)]
        edits += [editor.remove(field) for field in removes]
        edits += editor.insert()
    found = _apply(text, edits)
    _check(document, found, changes)
    return bom + found


def _apply(text: str, edits: Iterable[_Edit]) -> str:
    parts, at = [], 0
    for edit in sorted(edits, key=lambda edit: (edit.start, edit.rank, edit.end)):
        parts += [text[at : edit.start], edit.text]
        at = edit.end
    return "".join([*parts, text[at:]])


def _check(document: dict[str, Any], text: str, changes: Mapping[Table, Changes]) -> None:
    """Check that the new text means the same as the old one, apart from the changes.

    Raises:
        CanNotEdit: it does not; so no mistake of the edits can reach a file.
    """
    wanted = deepcopy(document)
    for (type_name, key), (sets, removes) in changes.items():
        own = wanted.setdefault(type_name, {}).setdefault(key, {})
        for field, value in sets.items():
            own[field] = tomli.loads(f"x = {format_toml(value)}")["x"]
        for field in removes:
            del own[field]
    try:
        is_as_wanted = tomli.loads(text) == wanted
    except ValueError:
        is_as_wanted = False
    if not is_as_wanted:
        raise CanNotEdit("its table is written in a form that statform can't change")


class _Editor:
    def __init__(self, text: str, table: Table, document: dict[str, Any]) -> None:
        self.text, self.table = text, table
        self.own: dict[str, Any] = document.get(table[0], {}).get(table[1], {})
        self.line_end = "\r\n" if "\r\n" in text else "\n"
        self.new: list[tuple[str, JSON]] = []

    def set(self, field: str, value: JSON) -> Iterator[_Edit]:
        """The edits that replace the field's value. A field without a value is kept for `insert`."""
        position = find(self.text, (*self.table, field)) if field in self.own else None
        if position is None:
            self.new.append((field, value))
        elif self._is_direct(position):
            yield self._replace(position, value)
        elif isinstance(value, dict) and value.keys() == self.own[field].keys():
            # Its members are pairs of their own.
            for member, item in value.items():
                at = find(self.text, (*self.table, field, member))
                if at is None or not self._is_direct(at):
                    raise CanNotEdit("it is written in several parts")
                if item != self.own[field][member]:
                    yield self._replace(at, item)
        else:
            raise CanNotEdit("it is written in several parts")

    def remove(self, field: str) -> _Edit:
        position = find(self.text, (*self.table, field))
        if position is None or not self._is_direct(position) or has_comment(self.text, position.value):
            raise CanNotEdit("it is written in several parts, or has comments inside")
        start, end = self._line(position)
        before, after = self.text[start : position.key.start], self.text[position.value.end : end]
        if "{" in before or "=" in before or not re.fullmatch(r"[ \t]*(?:#[^\n]*)?\r?\n?", after):
            raise CanNotEdit("it shares its line with other fields")
        if "#" in after:
            # The comment stays, on a line of its own.
            return _Edit(position.key.start - len(before.lstrip()), end - len(after.lstrip()), "")
        return _Edit(start, end, "")

    def insert(self) -> list[_Edit]:
        """The edit that adds all new pairs, if there are any."""
        if not self.new:
            return []
        place = self._place()
        # In an inline table a pair has to stay in its line; the others are lines.
        pairs = [f"{field} = {self._toml(value, len(field) + 3)}" for field, value in self.new]
        new = "".join(f"{place.before}{pair}{place.after}" for pair in pairs)
        return [_Edit(place.at, place.at, new, place.rank)]

    def _place(self) -> _Insertion:
        position, text = find(self.text, self.table), self.text
        if position is None:
            # There is no such table: a new one at the end of the file, after an empty line. Its header goes before the
            # first pair.
            gap = "" if not text else self.line_end if text.endswith("\n") else self.line_end * 2
            self.new = [(f"{gap}[{self.table[0]}.{self.table[1]}]{self.line_end}{field}", v) if n == 0 else (field, v)
                        for n, (field, v) in enumerate(self.new)]  # fmt: skip
            return _Insertion(len(text), "", self.line_end, rank=1)
        # type = { key = { … } }: the new pair goes first inside the braces.
        if self._is_direct(position):
            if not self.own:
                raise CanNotEdit("its table is an empty one in braces")
            return _Insertion(position.value.start + 1, " ", ",")
        # [type.key], or lines such as type.key.name = "…": the new lines go after the last pair, in the same form.
        is_in_header = position.value.start <= position.key.start < position.value.end
        if is_in_header and text[position.key.end : position.value.end].strip() != "]":
            raise CanNotEdit("its table is written in several parts")
        start, end = self._line(self._last_pair() or position)
        prefix = "" if is_in_header else text[self._line(position)[0] : position.key.end] + "."
        indent = re.match(r"[ \t]*", text[start:])
        before = (indent[0] if indent and not prefix else "") + prefix
        if text[start:end].endswith("\n"):
            return _Insertion(end, before, self.line_end)
        return _Insertion(end, self.line_end + before, "")

    def _last_pair(self) -> Position | None:
        found = [at for field in self.own if (at := find(self.text, (*self.table, field))) and self._is_direct(at)]
        return max(found, key=lambda at: at.value.end, default=None)

    def _is_direct(self, position: Position) -> bool:
        """Whether it is a key, an equals sign and its value."""
        return re.fullmatch(r"[ \t]*=[ \t]*", self.text[position.key.end : position.value.start]) is not None

    def _replace(self, position: Position, value: JSON) -> _Edit:
        if has_comment(self.text, position.value):
            raise CanNotEdit("it has comments inside, which would be lost")
        column = position.value.start - self._line(position)[0]
        return _Edit(position.value.start, position.value.end, self._toml(value, column))

    def _toml(self, value: JSON, column: int) -> str:
        return format_toml(value, column).replace("\n", self.line_end)

    def _line(self, position: Position) -> tuple[int, int]:
        """The whole lines of a pair: from the start of its first line to the end of its last, line break included."""
        end = self.text.find("\n", position.value.end)
        return self.text.rfind("\n", 0, position.key.start) + 1, len(self.text) if end < 0 else end + 1
