"""Problems of definitions and plans: for people, and for GitHub Actions, which shows them at the line of the file.

    Error: unknown field "descripton"
      statform.toml:3:1, assignment_source.checkout, field descripton
      3 | descripton = "Checkout"
        | ^^^^^^^^^^
      Expected: one of description, tags, …; did you mean "description"?

    ::error title=statform,file=statform.toml,line=3,col=1,endColumn=11::unknown field "descripton"%0AExpected: …

No file is read for it: a diagnostic brings the line that it is about.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from planner.errors import Diagnostic, Location
from planner.escape import escape, without_ci_commands
from planner.render.style import Style, width_of


def render_diagnostics(diagnostics: Iterable[Diagnostic], style: Style) -> str:
    """Every problem with its place, the line it stands in, and what is expected."""
    return "\n".join("\n".join(_diagnostic(one, style)) + "\n" for one in diagnostics)


def _diagnostic(diagnostic: Diagnostic, style: Style) -> Iterator[str]:
    word, paint = ("Warning:", style.yellow) if diagnostic.is_warning else ("Error:", style.red)
    summary = "\n".join(style.wrap(f"{word} {escape(diagnostic.summary)}", "  "))
    yield f"{paint(word)} {style.bold(summary.removeprefix(f'{word} '))}"
    where = diagnostic.location
    place = f"{escape(where.file)}:{where.line}:{where.column}" if where else ""
    field = f"field {escape(diagnostic.field)}" if diagnostic.field else ""
    yield from style.wrap(
        "  " + ", ".join(part for part in (place, escape(diagnostic.address or ""), field) if part), "    "
    )
    if where and where.text.strip():
        yield from _marked_line(where, style)
    yield from style.wrap(f"  Expected: {escape(diagnostic.expected)}", "    ")


def _marked_line(where: Location, style: Style) -> Iterator[str]:
    start, end = where.column - 1, where.column - 1 + where.length
    before, marked, after = map(_shown, _cut(where.text, start, end, style.width))
    margin = f"  {where.line} | "
    yield f"{style.dim(margin)}{before}{marked}{after}"
    # By columns and not by characters: the mark would else stand beside a word behind wide ones.
    mark = " " * width_of(before) + style.red("^" * max(1, width_of(marked)))
    yield style.dim(" " * (len(margin) - 2) + "| ") + mark


def _cut(text: str, start: int, end: int, width: int | None) -> tuple[str, str, str]:
    """The text before, in and after the mark, with what is far from it left out."""
    room = max(20, (width or 120) - 20)
    if len(text) <= room and width_of(_shown(text)) <= room:
        return text[:start], text[start:end], text[end:]
    left = right = start
    # Characters without a width would fill a line without an end.
    while left > max(0, start - 4 * room) and width_of(_shown(text[left - 1 : start])) <= room // 3:
        left -= 1
    while right < min(len(text), left + 4 * room) and width_of(_shown(text[left : right + 1])) <= room:
        right += 1
    before, after = text[left:start], text[min(end, right) : right]
    return ("…" if left else "") + before, text[start : min(end, right)], after + ("…" if right < len(text) else "")


def _shown(text: str) -> str:
    """Part of a line as a diagnostic shows it."""
    return escape(text.replace("\t", "    "))


def format_annotations(diagnostics: Iterable[Diagnostic], directory: str) -> str:
    """A workflow command for each problem; `directory` is the project's, relative to the repository."""
    return "".join(_annotation(one, directory) for one in diagnostics)


def _annotation(diagnostic: Diagnostic, directory: str) -> str:
    properties = ["title=statform"]
    if diagnostic.location is not None:
        file = f"{directory}/{diagnostic.location.file}" if directory not in {"", "."} else diagnostic.location.file
        end = diagnostic.location.column + diagnostic.location.length
        place = {"file": file, "line": diagnostic.location.line, "col": diagnostic.location.column, "endColumn": end}
        properties += [f"{name}={_property(str(value))}" for name, value in place.items()]
    command = "warning" if diagnostic.is_warning else "error"
    return f"::{command} {','.join(properties)}::{_data(diagnostic.summary)}%0AExpected: {_data(diagnostic.expected)}\n"


def _data(text: str) -> str:
    # GitHub decodes %25, %0A and, within a property, %3A and %2C: our own percent signs must not be taken for these.
    return without_ci_commands(escape(text)).replace("%", "%25")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
