"""The whole page: its head, its sections, its style and script, and the policy that allows nothing else.

The page needs no other file, and shows everything without its script. All text comes in through htpy, or, where there
is much of it, through `%` and `join` of Markup: both escape markup. Text that is not ours goes through `escape` first.
If that should ever fail, the policy still makes a browser run and load nothing but the style sheet and the script of
this page.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from importlib import resources

import htpy as h
from markupsafe import Markup

from planner.audit.audit import Audit
from planner.definitions.addresses import parts
from planner.escape import escape
from planner.plural import counted, one_or_many
from planner.render import at_work
from planner.render.page import cells, sections
from planner.render.page.content import Page


def render_page(page: Page) -> str:
    """The document as text; the same page gives the same text."""
    style, script = _asset("page.css"), _asset("page.js")
    kind = "history" if page.base_url is None else "audit"
    document = h.html(lang="en")[
        h.head[
            h.meta(charset="utf-8"),
            h.meta(http_equiv="Content-Security-Policy", content=_policy(style, script)),
            h.meta(name="viewport", content="width=device-width, initial-scale=1"),
            h.meta(name="color-scheme", content="light dark"),
            h.meta(name="generator", content=f"statform {page.version}"),
            h.title[f"statform {kind} of {escape(page.project)}, {page.made_at[:10]}"],
            h.style[Markup(style)],  # noqa: S704 - our own
        ],
        h.body(class_="one-type" if _has_one_type(page) else None)[
            h.header(".top")[_head(page, kind)],
            _filter(),
            h.main[sections.render_sections(page)],
            h.footer[
                f"Made by statform {page.version}. All times are in UTC. The page loads nothing from the network."
            ],
            h.script[Markup(script)],  # noqa: S704 - our own
        ],
    ]
    return f"{document}\n"


def _asset(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _policy(style: str, script: str) -> str:
    allowed = (f"{what}-src 'sha256-{_digest(text)}'" for what, text in (("style", style), ("script", script)))
    # `default-src` does not cover these: a <base> or a form could still lead elsewhere.
    rest = "base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'"
    return f"default-src 'none'; {'; '.join(allowed)}; {rest}"


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _head(page: Page, kind: str) -> Iterator[h.Node]:
    yield h.p(".kind")[f"statform {kind}"]
    yield h.h1[escape(page.project)]
    remote = "" if page.base_url is None else f", the remote is {escape(page.base_url)}"
    yield h.p(".facts")[
        "Made ", cells.show_moment(page.made_at), f" from {escape(page.state)}{_of_project(page)}{remote}"
    ]
    yield _verdict(page)
    yield h.dl(".numbers")[(h.div(class_=class_)[h.dt[name], h.dd[f"{n:,}"]] for name, n, class_ in _numbers(page))]
    links = [] if page.base_url is None else [("#drift", "Drift")]
    links += [("#timeline", "Changes"), ("#managed", "Managed sources"), ("#verify", "How to verify")]
    yield h.nav(aria_label="On this page")[h.ul[(h.li[h.a(href=href)[name]] for href, name in links)]]


def _of_project(page: Page) -> str:
    project = page.audit.snapshot.project.id
    told = f", of the Statsig project {escape(project)}" if project else ""
    (type_name,) = _types(page) if _has_one_type(page) else ("",)
    return f"{told}, all sources have the type {escape(type_name)}" if type_name else told


def _has_one_type(page: Page) -> bool:
    return len(_types(page)) == 1


def _types(page: Page) -> frozenset[str]:
    """The types of all addresses that the page has."""
    addresses = (*page.audit.snapshot.resources, *(entry.address for entry in page.entries))
    unmanaged = (one.type for one in page.audit.unmanaged)
    return frozenset(parts(address)[0] for address in addresses).union(unmanaged)


def _verdict(page: Page) -> h.Element:
    audit = page.audit
    counts = (
        (len(page.drifted), "source drifted", "sources drifted"),
        (len(page.gone), "source is gone", "sources are gone"),
        (len(audit.unmanaged), "source is unmanaged", "sources are unmanaged"),
        (len(audit.undecided), "source is undecided", "sources are undecided"),
        (len(audit.snapshot.unresolved), "outcome is unknown", "outcomes are unknown"),
    )
    found = [f"{n:,} {one_or_many(n, one, many)}" for n, one, many in counts if n]
    if page.base_url is not None and not found:
        found = ["No drift: the remote matches the state"]
    sentences = ["The journal is damaged", ", ".join(found)] if audit.damage else [", ".join(found)]
    told = " ".join(f"{sentence}." for sentence in sentences if sentence)
    class_ = "bad" if audit.damage or audit.drifts else "good" if audit.is_clean else "open"
    other = h.p[f"But {escape(at_work.describe(audit.at_work))}"] if audit.at_work is not None else None
    return h.div(class_=f"verdict {class_}")[h.p[h.strong[told]] if told else None, other, h.p[_journal(audit)]]


def _journal(audit: Audit) -> h.Node:
    if audit.damage is not None:
        return escape(audit.damage)
    if not audit.snapshot.head:
        return "There is no journal yet."
    return f"The journal is intact: {counted(audit.records, 'record')}, each follows from the one before."


def _numbers(page: Page) -> Iterator[tuple[str, int, str | None]]:
    yield "managed", len(page.audit.snapshot.resources), None
    if page.base_url is not None:
        yield "drifted", len(page.drifted), "bad" if page.drifted else None
        yield "gone", len(page.gone), "bad" if page.gone else None
        yield "unmanaged", len(page.audit.unmanaged), None
    yield "changes", len(page.entries), None
    if unknown := len(page.audit.snapshot.unresolved):
        yield "outcomes unknown", unknown, "bad"


def _filter() -> h.Element:
    """The form that the script fills and shows. It is hidden until then, because only the script can filter."""
    return h.form("#filter", hidden=True, role="search", aria_label="Filter this page")[
        h.div[
            h.label["Search", h.input(type="search", name="words", autocomplete="off")],
            h.label["Address", h.input(type="text", name="address", list="addresses", autocomplete="off")],
            h.label["Who", h.select(name="who")[h.option(value="")["everybody"]]],
            h.label["Field", h.select(name="field")[h.option(value="")["every"]]],
            h.label["From", h.input(type="text", name="since", placeholder="2026-11-01", autocomplete="off")],
            h.label["Until", h.input(type="text", name="until", placeholder="2026-11-30", autocomplete="off")],
            h.label["Outcome", h.select(name="outcome")[h.option(value="")["every"]]],
            h.div[h.button(type="reset")["Reset"], h.button("#unfold", type="button")["Unfold all"]],
        ],
        h.datalist("#addresses"),
        h.output,
    ]
