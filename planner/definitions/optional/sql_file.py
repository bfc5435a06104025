"""`sql_file`: a query in a file of its own.

The file's text becomes the field `sql`, with LF for each CR LF, and without the last line break, if there is one.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable
from typing import NamedTuple

from planner.definitions.fields import type_name
from planner.definitions.optional.variables import Variables
from planner.definitions.problems import location
from planner.errors import Diagnostic
from state.values import Address

MAX_SQL_BYTES = 1 << 20
"""Of one .sql file."""
EXPECTED = "the path of a .sql file of the project, relative to this file"
_REFERENCE = re.compile(r"\$?\$\{var\.[^}\n]*\}?")


class QueryInFile(NamedTuple):
    """The text that `sql_file` stands for; `file` is the .sql file, relative to the project."""

    file: str
    sql: str


def named_file(file: str, value: str) -> str:
    """The path, relative to the project, of the .sql file that `file` names as `value`."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(file), value))


class SqlFiles:
    """The .sql files of a project. `texts` has those that were read, `problems` what is wrong in them.

    `read` returns the bytes of a file, named relative to the project; it raises OSError or ValueError.
    """

    def __init__(self, read: Callable[[str], bytes], variables: Variables) -> None:
        self._read, self._variables = read, variables
        self.texts: dict[str, str] = {}
        self.problems: list[Diagnostic] = []

    def find(self, file: str, value: object) -> str:
        """The name, relative to the project, of the .sql file that `file` names as `value`. It is read if it is new.

        Raises:
            ValueError: there is no such file, or it can't be used; the message says why.
        """
        if not isinstance(value, str):
            raise ValueError(f"{type_name(value)} instead of a string")
        name = named_file(file, value)
        # A backslash would be a separator on Windows and a part of the name elsewhere.
        if not value.endswith(".sql") or "\0" in value or "\\" in value:
            raise ValueError("not the path of a .sql file")
        if posixpath.isabs(value) or name.startswith("../"):
            raise ValueError("a path that leads out of the project")
        if name not in self.texts:
            self.texts[name] = self._text(name)
        return name

    def _text(self, name: str) -> str:
        try:
            content = self._read(name)
        except OSError as error:
            raise ValueError(f"{name} can't be read: {error.strerror}") from None
        except ValueError as error:
            raise ValueError(f"{name} can't be read: {error}") from None
        if len(content) > MAX_SQL_BYTES:
            raise ValueError(f"{name} can't be read: more than {MAX_SQL_BYTES >> 20} MiB")
        try:
            return content.decode("utf-8").removeprefix("\ufeff").replace("\r\n", "\n")
        except UnicodeDecodeError as error:
            offset = len(content[: error.start].decode("utf-8"))
            where = location(name, content.decode("utf-8", "replace"), offset)
            summary = f"not UTF-8: byte 0x{content[error.start]:02x}"
            self.problems.append(Diagnostic(summary, "a file in UTF-8", where))
            return ""

    def query(self, name: str, address: Address) -> str:
        """The file's query with its variables replaced; a reference that can't be replaced becomes a problem."""
        text = self.texts[name]
        if "${var." in text:
            expanded, problems = self._variables.expand(text)
            if problems:
                self._note(name, text, address)
            text = str(expanded)
        # Editors put a line break at the end of a file; a query in a definition has none.
        return text.removesuffix("\n")

    def _note(self, name: str, text: str, address: Address) -> None:
        for found in _REFERENCE.finditer(text):
            _, problems = self._variables.expand(found[0])
            where = location(name, text, found.start(), len(found[0])) if problems else None
            self.problems += [Diagnostic(one.summary, one.expected, where, address, "sql") for one in problems]
