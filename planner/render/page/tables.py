"""The parts of every section of the page: its heading, its tables, and the cells that several tables have."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

import htpy as h
from markupsafe import Markup

from planner.audit.authors import Author, Authors
from planner.audit.history import HistoryEntry
from planner.definitions.addresses import parts
from planner.escape import escape
from planner.plan.diff import FieldChange
from planner.render.audit import describe_author
from planner.render.history import describe_run
from planner.render.page import cells

_MAX_UNFOLDED = 5
"""If a head has more table bodies below it, the script folds them."""
BY = "Who, by the audit log"
# The cells that each change has, as text, because htpy is slow for so many elements. `%` of Markup escapes.
_SOURCE = Markup('<th class="address" scope="%s"%s><b>%s</b>%s</th>')
_SPAN = Markup(' rowspan="%s"')
_SMALL = Markup("<small>%s</small>")
_CHANGE = Markup('<td class="field"><code>%s</code></td><td class="%s">%s</td><td class="%s">%s</td>')


def section(id_: str, title: str, count: str, *content: h.Node) -> h.Element:
    """A section with its heading; `count` stands small beside the title, and "" is for none."""
    return h.section(id=id_, aria_labelledby=f"{id_}-title")[
        h.h2(id=f"{id_}-title")[title, h.small[count] if count else None], content
    ]


def table(class_: str, lists: str, columns: Mapping[str, str], bodies: Iterable[h.Element | Markup]) -> h.Node:
    """A table. Each of its bodies is one thing, which the filter shows or hides, or the head of the bodies below.

    `columns` maps the class of each column to its heading.
    """
    headings = (h.th(class_=name, scope="col")[heading] for name, heading in columns.items())
    return [
        h.table(class_=f"cards {class_}", data_lists=lists)[h.thead[h.tr[headings]], map(cells.settled, bodies)],
        h.p(".soft", hidden=True)["Nothing here matches the filter."],
        h.button(".more", type="button", hidden=True),
    ]


def sentences(*parts: str) -> str:
    """The parts that are not empty, each with its full stop."""
    return " ".join(f"{part}." for part in parts if part)


def source(address: str, name: str | None = None, rows: int | None = None) -> Markup:
    """The heading of the rows of a source: its address, and its remote name if that is not the key."""
    scope, span = ("rowgroup", _SPAN % rows) if rows and rows > 1 else ("row", "")
    other = "" if name is None or name == parts(address)[1] else _SMALL % cells.show_name(name)
    return _SOURCE % (scope, span, cells.show_address(address), other)


def fold(count: int, what: str) -> h.Element | None:
    """A button that the script shows to fold the bodies below a head; None if there are few."""
    return h.button(type="button", hidden=True, data_folds=what) if count > _MAX_UNFOLDED else None


def change_cells(change: FieldChange, before_class: str, after_class: str) -> Markup:
    """Three cells: the field, the value before and the value after; the classes are those of the last two."""
    before, after = cells.show_sides(change)
    return _CHANGE % (cells.show_name(change.field.name), before_class, before, after_class, after)


def author_cell(authors: Authors | None, author: Author | None) -> h.Element | None:
    """Who it was, by the audit log; None, so that there is no such column, if the log was not asked."""
    if authors is None:
        return None
    return h.td(".by")[h.span(".none")["not told"] if author is None else describe_author(author)]


def show_who(entry: HistoryEntry) -> Markup:
    """The account of a change's run, or the person that the environment names; and what a CI said about the run."""
    return _show_who(entry.who, entry.host, entry.actor, tuple(describe_run(entry.run)))


@lru_cache
def _show_who(who: str | None, host: str | None, actor: str | None, told: tuple[str, ...]) -> Markup:
    if not who:
        return cells.settled(h.span(".none")["unknown"])
    account = f"told by {escape(who)}@{escape(host or '')}" if actor else escape(host or "")
    return cells.settled(h.b[escape(actor or who)], " ", h.small[account], *map(_told, told))


def _told(fact: str) -> h.Node:
    """A fact that a CI told about the run; a URL in it is a link."""
    words, _, last = escape(fact).rpartition(" ")
    # Nothing but http(s): a CI's text could else be a link that runs something, such as `javascript:`.
    is_place = re.fullmatch(r"https?://[!-~]+", last) is not None
    shown = h.a(href=last, rel="noreferrer")[last.rpartition("://")[2]] if is_place else last
    return [" ", h.small[words, " ", shown]]
