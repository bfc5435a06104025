"""Plans as a person reads them at a terminal.

      # assignment_source.checkout will be updated (PATCH checkout_exposures)
      ~ assignment_source.checkout
          ~ description   = "Checkout" -> "Checkout exposures"      a value
          ~ tags          = + "growth"  - "search"                  a set
          ~ idTypeMapping                                           a table or a keyed list, a line an element
              ~ stableID  = "stable_id" -> "stable_id_v2"
          ~ sql                                                     a text of several lines, as a diff of them
              - SELECT 1
              + SELECT 2

      # 116 to update, all in the same way                          what is the same for many, once
      ~ assignment_source.a
      ~ assignment_source.b (b_exposures)
          + team = "Growth"
          ! somebody else changed it from "Search"; …             what `apply` refuses to undo unasked

    Plan: 1 to update, 12 unchanged.

Audit, refresh and history show changes by the same lines, without the sentence above and the counts below.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby

from planner.definitions.fields import Call, KeyedList, StringSet, Table
from planner.escape import escape, format_value, tell_apart
from planner.plan import verbs
from planner.plan.build import Plan
from planner.plan.diff import ABSENT, Action, ElementChange, FieldChange
from planner.render.style import Style, plain_width, width_of
from state.values import JSON, Address

FIELD = " " * 6
ELEMENT = " " * 10
_FEWEST_ALIKE = 3
FULL_UPDATE = "full update"
_COLOURS = {"!": "35", "~": "33", "+": "32", "-": "31", ".": "2"}


def render_plan(plan: Plan, style: Style, seconds: float = 0.0) -> str:
    """The whole plan: what happens to each address, field by field, and the counts.

    `seconds` is how long its requests take at the API's rate limit; 0 when they can all go at once.
    """
    where = f" in the environment {escape(plan.environment)}" if plan.environment else ""
    changes = plan.changes
    # Also with addresses that are unchanged: nobody wants to read of each that nothing happens to it.
    if not changes:
        none = f"{style.bold('No changes.')} The state matches the definitions{where}.\n"
        return style.wrap_lines(none + format_left_out(plan))
    # Of two requests the first gives the temporary name: read backwards, it is the one that stays.
    renames = [r for r in plan.requests if "name" in r.body and r.call is not Call.CREATE]
    names = {r.address: str(r.body["name"]) for r in reversed(renames)}
    blocks = [
        _alike(group, style) if len(group) > 1 else _action(group[0], names.get(group[0].address), style)
        for group in group_alike(changes)
    ]
    return "\n".join(
        [
            style.wrap_lines(f"statform will perform these actions{where}, in this order:\n"),
            *blocks,
            style.wrap_lines(_counts(plan, seconds, style) + format_left_out(plan) + _hints(plan)),
        ]
    )


def render_summary(plan: Plan, style: Style) -> str:
    """The counts, and below them how many addresses have the same fields changed, in the order of the first of each."""
    counts = Counter((action.verb, tuple(change.field.name for change in action.changes)) for action in plan.changes)
    lines = (
        f"  {_sign(verb.symbol, style)} {count:,} {verb.to_do}{': ' if fields else ''}{escape(', '.join(fields))}\n"
        for (verb, fields), count in counts.items()
        if verb.is_change
    )
    if not counts:
        return render_plan(plan, style)
    notes = "".join(f"\n{text}\n" for text in (*format_notes(plan), format_limit(plan)) if text)
    return style.wrap_lines(_counts(plan, 0.0, style) + "".join(lines) + format_left_out(plan) + notes)


def group_alike(actions: Sequence[Action]) -> Iterator[Sequence[Action]]:
    """The actions in their order; those beside each other that differ in nothing but the address, together.

    Two are no group: they are as quick to read in full.
    """
    for _, found in groupby(actions, lambda action: action._replace(address=Address(""), name="")):
        group = list(found)
        if len(group) >= _FEWEST_ALIKE and (group[0].changes or group[0].verb is verbs.FORGET):
            yield group
        else:
            yield from ([action] for action in group)


def format_address(action: Action) -> str:
    """The address, and the remote name where that is another than the key."""
    name = "" if action.address.partition(".")[2] == action.name else f" ({escape(action.name)})"
    return escape(action.address) + name


def _alike(group: Sequence[Action], style: Style) -> str:
    verb, changes = group[0].verb, group[0].changes
    how = f" ({FULL_UPDATE})" if group[0].call is Call.FULL else ""
    same = "their sources stay as they are" if verb is verbs.FORGET else "all in the same way"
    title = _heading(f"{len(group):,} {verb.to_do}, {same}{how}", style)
    addresses = [f"  {_sign(verb.symbol, style)} {format_address(action)}" for action in group]
    return "\n".join([title, *addresses, *field_lines(changes, style)]) + "\n"


def _hints(plan: Plan) -> str:
    """How to keep the state of what may be the same source by another key and another name, and the notes."""
    own = (*format_notes(plan), _removal_hint(plan), format_limit(plan))
    return "".join(f"\n{text}\n" for text in own if text)


def format_notes(plan: Plan, quote: Callable[[str], str] = escape) -> list[str]:
    """What has to be known of the plan before it is applied, a text each; an indented line of it is one to copy.

    `quote` shows what is not ours, and what is to be copied.
    """
    moves = (_move(plan, old, new, quote) for old, new in plan.likely_moves if (old, new) not in plan.twins)
    twins = (_twin(old, new, quote) for old, new in plan.twins)
    return [text for text in (*moves, *twins, _full(plan), _unknown_values(plan), _unconfirmed(plan, quote)) if text]


def _move(plan: Plan, old: Address, new: Address, quote: Callable[[str], str]) -> str:
    names = {action.address: action.name for action in plan.actions}
    lines = [
        f"If {quote(new)} is the source that was {quote(old)}, say so in statform.toml before you apply:",
        *_entry("moved", quote, **{"from": old, "to": new}),
    ]
    if names[old] != names[new]:
        lines += [
            "And in its own table, so that its remote name stays as it is:",
            f"  {quote(f'name = {format_value(names[old])}')}",
        ]
    return "\n".join(lines)


def _twin(old: Address, new: Address, quote: Callable[[str], str]) -> str:
    first = (
        f"apply refuses this plan: {quote(new)} would be created with the query and the columns of {quote(old)}, "
        "which is forgotten. If it is that source, say so in statform.toml:"
    )
    moved, removed = (_entry(table, quote, **{"from": old}) for table in ("moved", "removed"))
    moved.append(f"  {quote(f'to = {format_value(new)}')}")
    return "\n".join([first, *moved, "If there shall be two:", *removed, f"  {quote('delete = false')}"])


def _entry(table: str, quote: Callable[[str], str], **values: str) -> list[str]:
    lines = [f"[[{table}]]", *(f"{key} = {format_value(value)}" for key, value in values.items())]
    return [f"  {quote(line)}" for line in lines]


def _full(plan: Plan) -> str:
    """What a full update may cost, or nothing."""
    if all(request.call is not Call.FULL for request in plan.requests):
        return ""
    return (
        "A full update replaces the whole source: what the API does not carry, such as a loading window or reviewers, "
        "may be reset."
    )


def _unknown_values(plan: Plan) -> str:
    """That nobody has looked at what is adopted, or nothing."""
    unseen = sum(one.verb is verbs.ADOPT and bool(one.changes) and not one.is_seen for one in plan.actions)
    return f"{unseen} to adopt: old values unknown; `statform plan --refresh` shows them." if unseen else ""


def _unconfirmed(plan: Plan, quote: Callable[[str], str]) -> str:
    """What to do about what somebody else changed, or nothing."""
    found = [action.address for action in plan.actions for one in action.changes if one.unconfirmed is not ABSENT]
    if not found:
        return ""
    fields = "1 field was" if len(found) == 1 else f"{len(found)} fields were"
    address = found[0] if len({*found}) == 1 else "ADDRESS"
    return "\n".join(
        [
            f"{fields} changed by somebody else, and nobody has agreed to that. apply refuses to undo it unasked.",
            "Take the change into the definitions:",
            f"  {quote('statform refresh --write')}",
            "or into the state, so that the next plan undoes it:",
            f"  {quote(f'statform refresh {address}')}",
            "or undo it now:",
            f"  {quote(f'statform apply --overwrite {address}')}",
        ]
    )


def _removal_hint(plan: Plan) -> str:
    """How to delete what would only be forgotten; not of what shall be kept, or may be there under another address."""
    spared = {*plan.kept, *(old for old, _ in (*plan.likely_moves, *plan.twins))}
    forgotten = [a.address for a in plan.actions if a.verb is verbs.FORGET and a.address not in spared]
    if not forgotten:
        return ""
    entry = "\n".join(_entry("removed", escape, **{"from": forgotten[0]}))
    return f"If a source is to be deleted and not just forgotten, say so in statform.toml:\n{entry}\n  delete = true"


def format_limit(plan: Plan) -> str:
    """What is said of a plan that is over the project's limit; nothing of one that is not."""
    if not plan.is_over_limit:
        return ""
    return (
        f"It changes {len(plan.changes)} of {plan.managed} managed resources, and max_changes is {plan.max_changes}: "
        f"apply refuses it without --max-changes {len(plan.changes)}."
    )


def format_counts(plan: Plan) -> str:
    """How many addresses the plan does what to; of a verb that no address has, nothing."""
    counted = [f"{count} {verb.to_do}" for verb, count in plan.counts.items()]
    if moved := sum(action.moved_from is not None for action in plan.actions):
        counted.append(f"{moved} moved")
    return ", ".join(counted)


def format_left_out(plan: Plan) -> str:
    """That the plan is a partial one, in a line; nothing if it is whole."""
    if not plan.left_out:
        return ""
    return f"This plan is partial: --target and --exclude leave out {plan.left_out:,} of {plan.managed:,} addresses.\n"


def _counts(plan: Plan, seconds: float, style: Style) -> str:
    line = f"{style.bold('Plan:')} {format_counts(plan)}.\n"
    minutes, rest = divmod(math.ceil(seconds), 60)
    took = f"{minutes} min {rest} s" if minutes else f"{rest} s"
    return line + (
        f"The API's rate limit makes its {len(plan.requests)} requests take {took} at least.\n" if seconds else ""
    )


def _action(action: Action, first_name: str | None, style: Style) -> str:
    name = escape(action.name)
    if first_name not in {None, action.new_name}:
        name += f", by way of the name {escape(str(first_name))}"
    how = f"{FULL_UPDATE}, POST" if action.call is Call.FULL else "PATCH"
    what = action.verb.will.format(name=name, how=how)
    if action.moved_from is not None:
        was = f"was {escape(action.moved_from)}, and its state moves along"
        what = f"{was}; it {what}" if action.changes else was
    return block(action.address, what, action.verb.symbol, action.changes, style)


def block(address: str, what: str, symbol: str, changes: Sequence[FieldChange], style: Style) -> str:
    """An address, what is to be said of it, and its changes, field by field."""
    shown = escape(address)
    lines = [_heading(f"{shown} {what}", style), f"  {_sign(symbol, style)} {shown}", *field_lines(changes, style)]
    return "\n".join(lines) + "\n"


def _heading(text: str, style: Style) -> str:
    return style.bold("\n".join(style.wrap(f"  # {text}", "  #   ")))


def field_lines(changes: Sequence[FieldChange], style: Style) -> list[str]:
    """The changes of an address, field by field."""
    pad = max((width_of(escape(change.field.name)) for change in changes if not _is_block(change)), default=0)
    return [line for change in changes for line in (*_change(change, pad, style), *_mark(change, style))]


def _mark(change: FieldChange, style: Style) -> list[str]:
    """That somebody else changed the field, and nobody has agreed to that yet."""
    if change.unconfirmed is ABSENT:
        return []
    is_long = isinstance(change.unconfirmed, str) and "\n" in change.unconfirmed
    was = "" if is_long else f" from {format_value(change.unconfirmed)}"
    return _fold(f"{ELEMENT}{_sign('!', style)} ", f"somebody else changed it{was}", len(ELEMENT) + 2, style)


def value_lines(head: str, value: JSON, style: Style) -> list[str]:
    """A value after `head`, which has no colours, in lines that fit."""
    return _fold(head, format_value(value), width_of(head), style)


def flow(parts: Sequence[tuple[str, str]], indent: int, style: Style) -> list[str]:
    """Texts, each as it is measured and as it is written, two spaces between them, as many a line as fit."""
    lines, line, used = [], "", 0
    for plain, painted in parts:
        columns = width_of(plain)
        if line and style.width is not None and used + 2 + columns > style.width:
            lines.append(line)
            line, used = " " * indent + painted, indent + columns
        else:
            line, used = (f"{line}  {painted}", used + 2 + columns) if line else (painted, columns)
    return [*lines, line]


def _sign(symbol: str, style: Style) -> str:
    return style.paint(symbol, _COLOURS[symbol]) if symbol.strip() else symbol


def _is_block(change: FieldChange) -> bool:
    """Whether the change takes lines of its own below the field's name."""
    is_keyed = isinstance(change.field.kind, KeyedList | Table)
    return _is_multiline(change) or (is_keyed and bool(change.elements))


def _is_multiline(change: FieldChange) -> bool:
    values = [value for value in (change.before, change.after) if value is not ABSENT and value is not None]
    return all(isinstance(value, str) for value in values) and any("\n" in str(value) for value in values)


def _change(change: FieldChange, pad: int, style: Style) -> list[str]:
    # Of a field that this statform does not know, the name is somebody else's.
    sign, name = _sign("+" if change.before is ABSENT else "~", style), escape(change.field.name)
    if _is_multiline(change):
        return [f"{FIELD}{sign} {name}", *_line_diff(change, style)]
    head = f"{FIELD}{sign} {name}{' ' * (pad - width_of(name))} = "
    # Of a set that is new there is nothing to tell apart: all of it is added.
    if not change.elements or (change.before is ABSENT and isinstance(change.field.kind, StringSet)):
        return _value_lines(head, change, style)
    if isinstance(change.field.kind, StringSet):
        return _flow(head, change.elements, style)
    lines = [f"{FIELD}{sign} {name}"]
    keys = tell_apart([escape(element.key) for element in change.elements])
    pad = max(map(width_of, keys))
    for element, key in zip(change.elements, keys, strict=True):
        head = f"{ELEMENT}{_element_sign(element, style)} {key}{' ' * (pad - width_of(key))} = "
        lines += _value_lines(head, element, style)
    return lines


def _element_sign(element: ElementChange, style: Style) -> str:
    return _sign("+" if element.before is ABSENT else "-" if element.after is ABSENT else "~", style)


# A line that the terminal breaks itself would go on at its left edge, where it looks like a line of the plan.
def _value_lines(head: str, change: FieldChange | ElementChange, style: Style) -> list[str]:
    """`head` and what the value was and becomes: in one line where that fits, else the two below each other."""
    values = tell_apart([format_value(value) for value in (change.before, change.after) if value is not ABSENT])
    line = head + " -> ".join(values)
    if style.width is None or plain_width(line) <= style.width:
        return [line]
    indent = plain_width(head)
    lines = _fold(head, values[0], indent, style)
    for value in values[1:]:
        lines += _fold(" " * (indent - 3) + "-> ", value, indent, style)
    return lines


def _fold(head: str, text: str, indent: int, style: Style) -> list[str]:
    """`text` after `head`, in lines that fit the width, broken at spaces where it has some; further ones indented."""
    if style.width is None:
        return [head + text]
    room = max(20, style.width - indent)
    lines, line, used = [], "", 0
    for part in _parts(text, room):
        columns = width_of(part)
        if used + columns > room:
            lines.append(line)
            line, used = "", 0
        line += part
        used += columns
    # The colours of `head` have no width, so that `indent` is told and not measured.
    first, *rest = [*lines, line]
    return [head + first, *(" " * indent + more for more in rest)]


def _parts(text: str, room: int) -> Iterator[str]:
    """The words with the space behind them; of a word that is wider than `room`, the characters and escapes."""
    for word in re.findall(r"[^ ]+ ?| ", text):
        if width_of(word) <= room:
            yield word
        else:
            yield from re.findall(r"\\U.{8}|\\u.{4}|\\.|.", word)


def _flow(head: str, elements: Sequence[ElementChange], style: Style) -> list[str]:
    """The elements of a set after `head`, two spaces between them, as many a line as fit."""
    indent = used = plain_width(head)
    lines, line = [], [head]
    texts = tell_apart([format_value(element.key) for element in elements])
    for n, (element, text) in enumerate(zip(elements, texts, strict=True)):
        sign, columns = f"{_element_sign(element, style)} ", width_of(text) + 2
        if n and style.width is not None and used + 2 + columns > style.width:
            lines.append("".join(line))
            line, used = [" " * indent], indent
        elif n:
            line.append("  ")
            used += 2
        *whole, last = _fold(sign, text, indent + 2, style)
        if whole:
            lines += ["".join([*line, whole[0]]), *whole[1:]]
            line, used = [last], plain_width(last)
        else:
            line.append(last)
            used += columns
    return [*lines, "".join(line)]


def _line_diff(change: FieldChange, style: Style) -> Iterator[str]:
    """The lines of a text that were added and removed, with three lines around them."""
    texts = [value if isinstance(value, str) else None for value in (change.before, change.after)]
    # The line end that ends all of a text is shown only where it makes a difference.
    is_ended = all(not text or text.endswith("\n") for text in texts)
    before, after = ([] if not text else text.removesuffix("\n" * is_ended).split("\n") for text in texts)
    from planner.render.line_diff import LineMatcher  # noqa: PLC0415 - difflib: few plans change a text of several lines

    for group in LineMatcher(before, after).get_grouped_opcodes():
        if group[0][1]:
            yield f"{ELEMENT}{style.dim(f'@@ line {group[0][3] + 1} @@')}"
        for tag, a_start, a_end, b_start, b_end in group:
            if tag == "equal":
                yield from _text_lines(" ", map(_visible, before[a_start:a_end]), style)
            else:
                removed = before[a_start:a_end]
                shown = tell_apart([*map(_visible, [*removed, *after[b_start:b_end]])])
                yield from _text_lines("-", shown[: len(removed)], style)
                yield from _text_lines("+", shown[len(removed) :], style)


def _text_lines(symbol: str, lines: Iterable[str], style: Style) -> Iterator[str]:
    head = f"{ELEMENT}{_sign(symbol, style)} " if symbol.strip() else f"{ELEMENT}  "
    for line in lines:
        yield from _fold(head, line, len(ELEMENT) + 2, style) if line else [head.rstrip(" ")]


def _visible(line: str) -> str:
    """The line, and each space at its end, which would not be seen."""
    text = line.rstrip(" ")
    return escape(text) + "\\u0020" * (len(line) - len(text))
