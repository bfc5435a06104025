"""`[variables]` of `statform.toml`, whose values an environment can set, and `${var.NAME}`, which stands for a value.

    [variables]
    database = "analytics"           # unless the environment sets another value
    owner = { required = true }      # each environment has to set it

`$${var.` is the text `${var.` itself. Nothing else in braces is touched: macros belong to Statsig.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from planner.definitions.addresses import KEY
from planner.definitions.document import Document
from planner.definitions.fields import Path, Problem, closest, type_name
from planner.definitions.problems import Finding, Findings
from planner.definitions.settings import SETTINGS_FILE
from state.values import JSON

MAX_INSERTED = 64 << 20
"""How many characters the variables of a project may insert, in all places together."""
_REFERENCE = re.compile(rf"\$?\$\{{var\.(?:({KEY.pattern})\}})?")
_EXPECTED = "a string, or { required = true } for one that each environment sets"
# A list of tables of strings is the deepest value that a field has.
_DEEPEST = 3


def quote_references(text: str) -> str:
    """The text as a definition has to have it, so that no part of it is read as a variable."""
    return text.replace("${var.", "$${var.")


def refers_to_variables(value: object) -> bool:
    """Whether a string in the value, as the file has it, refers to one."""
    match value:
        case str():
            return any(not found[0].startswith("$$") for found in _REFERENCE.finditer(value))
        case list():
            return any(map(refers_to_variables, value))
        case dict():
            return any(map(refers_to_variables, value.values()))
        case _:
            return False


class Variables:
    """The values by name, for `expand`. `is_complete`: every file that may declare a variable could be read."""

    def __init__(self, values: Mapping[str, str], *, is_complete: bool = True) -> None:
        self.values, self.is_complete = values, is_complete
        self._room = MAX_INSERTED

    def expand(self, value: JSON) -> tuple[JSON, tuple[Problem, ...]]:
        """The value with each reference in its strings replaced, and a problem for each that can't be replaced."""
        problems: list[Problem] = []
        return self._expand(value, (), problems), tuple(problems)

    def _expand(self, value: JSON, path: Path, problems: list[Problem]) -> JSON:
        match value:
            case str() if "${var." in value:
                return _REFERENCE.sub(lambda found: self._value_of(found, path, problems), value)
            case list() if len(path) < _DEEPEST:
                return [self._expand(item, (*path, index), problems) for index, item in enumerate(value)]
            case dict() if len(path) < _DEEPEST:
                return {key: self._expand(item, (*path, key), problems) for key, item in value.items()}
            case _:
                return value

    def _value_of(self, found: re.Match[str], path: Path, problems: list[Problem]) -> str:
        whole, name = found[0], found[1]
        if whole.startswith("$$"):
            return whole[1:]
        if name is None:
            problems.append(Problem(path, "${var. without a name and }", "${var.NAME}, or $${var. for the text itself"))
        elif name in self.values:
            return self._take(self.values[name], path, problems)
        elif self.is_complete:
            guess = closest(name, tuple(self.values))
            expected = f"a variable that [variables] in {SETTINGS_FILE} declares{guess}"
            problems.append(Problem(path, f'unknown variable "{name}"', expected))
        return whole

    def _take(self, value: str, path: Path, problems: list[Problem]) -> str:
        if len(value) <= self._room:
            self._room -= len(value)
            return value
        # The first one that is too much. From now on nothing is inserted, and nothing more is reported.
        if self._room >= 0:
            summary = f"the values of the variables have more than {MAX_INSERTED >> 20} MiB"
            problems.append(Problem(path, summary, "shorter variables, or fewer places for them"))
        self._room = -1
        return ""


def read_variables(documents: Mapping[str, Document], findings: Findings, *, is_complete: bool) -> Variables:
    """The variables that the files declare and set, `statform.toml` first; adds what is wrong to `findings`.

    Raises:
        TooManyProblems: more is wrong than anybody reads.
    """
    declared: dict[str, str | None] = {}
    for file, document in documents.items():
        table = document.get("variables", {})
        if not isinstance(table, dict):
            _add(findings, file, (), f"{type_name(table)} instead of a table", "a table [variables]")
            continue
        for name, value in table.items():
            if problem := _find_problem(name, value, None if file == SETTINGS_FILE else declared, is_complete):
                _add(findings, file, (name, *problem.path), problem.summary, problem.expected)
            if isinstance(value, str) or name not in declared:
                declared[name] = value if isinstance(value, str) else None
    for name, value in declared.items():
        entry = documents.get(SETTINGS_FILE, {}).get("variables", {})
        is_required = isinstance(entry, dict) and entry.get(name) == {"required": True}
        if value is None and is_required and is_complete:
            expected = f'--env NAME, with {name} = "…" below [variables] in environments/NAME.toml'
            _add(findings, SETTINGS_FILE, (name,), f'the variable "{name}" is required, but not set', expected)
    # A variable without a value is reported once, where it is declared, and not at each reference.
    return Variables({name: value or "" for name, value in declared.items()}, is_complete=is_complete)


def _find_problem(name: str, value: object, known: Mapping[str, object] | None, is_complete: bool) -> Problem | None:  # noqa: FBT001
    """What is wrong with an entry. An environment (`known` is not None) can only set what is known, and not require."""
    if not KEY.fullmatch(name):
        return Problem((), f'the variable "{name}" can\'t be referred to', "letters, digits, _ and -")
    if known is not None and name not in known and is_complete:
        expected = f"one that [variables] in {SETTINGS_FILE} declares{closest(name, tuple(known))}"
        return Problem((), f'unknown variable "{name}"', expected)
    if isinstance(value, str):
        if "${var." in value:
            return Problem((), f'the variable "{name}" refers to a variable', "a text without variables")
        return None
    if known is None and value == {"required": True}:
        return None
    what = "a table" if isinstance(value, dict) else type_name(value)
    return Problem((), f"{what} instead of a string", _EXPECTED if known is None else "a string")


def _add(findings: Findings, file: str, path: Path, summary: str, expected: str) -> None:
    findings.add(Finding(file, ("variables", *path), summary, expected, "value"))
