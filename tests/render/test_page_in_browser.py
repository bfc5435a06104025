from __future__ import annotations

import base64
import re
from collections import Counter

import pytest
from browser import running_browser
from pages import HEAD, audit, change, drift, entry, filled_with, many, page, snapshot

from planner.escape import escape, format_value
from planner.render.page import document

A, B = "assignment_source.alpha", "assignment_source.beta"
HOSTILE = (
    "</script><script>window.hit=1;alert(1)</script><img src=http://127.0.0.1:9/x onerror=window.hit=1;alert(1)>"
    "</title></style><style>body{display:none}</style>\"'><svg/onload=alert(1)>' onmouseover=alert(1) x='"
    "<a href=javascript:alert(1)>x</a><base href=http://127.0.0.1:9/><meta http-equiv=refresh content=0;url=x:>"
    "\u202egnp.exe\u2066\x00\x1b[31m\ud800::error file=x::y &lt;b&gt;{{7*7}}"
)


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    with running_browser(tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.fixture
def opened(browser, tmp_path):
    """Opens a page; in the end nothing may have been asked for but that, and nothing complained of."""
    paths = []

    def open_(of, **options):
        path = tmp_path / f"page-{len(paths)}.html"
        path.write_text(document.render_page(of), encoding="utf-8")
        browser.open(path, **options)
        paths.append(path)
        return browser

    yield open_
    assert browser.logged() == []
    assert browser.requested() == [paths[-1].as_uri()]
    assert browser.run("return performance.getEntriesByType('resource').length") == 0


@pytest.fixture
def without_scripts(browser):
    """Pages run none of their own; what a test runs in them works all the same."""
    browser.command("Emulation.setScriptExecutionDisabled", value=True)
    yield
    browser.command("Emulation.setScriptExecutionDisabled", value=False)


def several():
    why, taken = "422: Invalid request", change("description", "", "x" * 300)
    return page(
        entry(A, change("team", "Growth", None), at="2026-11-01T10:00:00.000Z"),
        entry(
            A, change("sql", "1", "two\nlines"), who="bo", at="2026-11-02T10:00:00.000Z", outcome="rejected", reason=why
        ),
        entry(B, change("tags", ["core"], ["core", "growth"]), who="bo", at="2026-11-03T10:00:00.000Z"),
        entry(B, taken, who="ci", at="2026-11-04T10:00:00.000Z", kind="import", outcome="recorded"),
        of=audit(snapshot([A, B]), unmanaged=("stray",)),
        is_audit=True,
    )


def visible(browser, selector) -> list[str]:
    """The texts of the elements that are shown."""
    script = (
        "document.body.offsetHeight;"  # What is shown is up to date only after a layout.
        "return [...document.querySelectorAll(arguments[0])]"
        ".filter((one) => one.checkVisibility()).map((one) => one.textContent)"
    )
    return browser.run(script, selector)


def elements(browser) -> Counter[str]:
    """How many there are of each element with its attributes' names."""
    names = "[one.localName, ...one.getAttributeNames()].join(' ')"
    return Counter(browser.run(f"return [...document.querySelectorAll('*')].map((one) => {names})"))


def test_a_hostile_text_stays_text_wherever_it_stands(opened):
    # A dot parts an address.
    harmless = elements(opened(filled_with(re.sub(r"[^.]", "x", escape(HOSTILE)))))
    browser = opened(filled_with(HOSTILE))
    assert elements(browser) == harmless
    assert browser.run("return window.hit === undefined")
    assert browser.run("return getComputedStyle(document.body).display") == "block"
    assert browser.texts("h1") == [escape(HOSTILE)]
    assert set(browser.texts(".timeline .address b")) == {f"assignment_source.{escape(HOSTILE)}"}
    for selector in (
        ".timeline .who b",
        ".timeline .who small",
        ".unmanaged tbody .name",
    ):
        assert set(browser.texts(selector)) == {escape(HOSTILE)}
    assert format_value(HOSTILE) in browser.texts(".timeline .from pre")
    assert escape(HOSTILE) in browser.texts(".timeline .note pre")
    assert escape(HOSTILE) in browser.texts("#filter option")
    assert escape(HOSTILE) in browser.texts(".commit code")


HOLE = """
<script>window.hit = 1</script><img src="x" onerror="window.hit = 2"><iframe srcdoc="x"></iframe>
<p style="color: red" id="hole" onclick="window.hit = 3">
"""


def test_should_markup_ever_get_through_the_policy_lets_nothing_of_it_work(browser, tmp_path):
    path = tmp_path / "hole.html"
    path.write_text(document.render_page(several()).replace("<main>", f"<main>{HOLE}"), encoding="utf-8")
    browser.open(path)
    browser.run("document.getElementById('hole').click()")
    assert browser.run("return window.hit === undefined")
    assert browser.run("return getComputedStyle(document.getElementById('hole')).color") != "rgb(255, 0, 0)"
    assert len([one for one in browser.logged() if "Content Security Policy" in one]) >= 4


LONG = [several(), filled_with("W" * 200), filled_with("two words " * 9)]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1000, 1440])
@pytest.mark.parametrize("of", LONG, ids=["usual", "one word", "words"])
def test_the_page_is_never_wider_than_the_window_and_cuts_nothing(opened, of, width, scheme):
    browser = opened(of, width=width, scheme=scheme)
    assert browser.run("return [document.scrollingElement.scrollWidth, innerWidth]") == [width, width]
    cut = (
        "return [...document.querySelectorAll('tbody td, tbody th, pre, dd, p, li')]"
        ".filter((one) => one.scrollWidth > one.clientWidth + 1).map((one) => one.outerHTML.slice(0, 200))"
    )
    assert browser.run(cut) == []


# https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio
CONTRAST = """
const channels = (text) => text.match(/[\\d.]+/g).map(Number);
const light = ([r, g, b]) => [r, g, b].map((c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
  .reduce((sum, c, n) => sum + c * [0.2126, 0.7152, 0.0722][n], 0);
const behind = (one) => {
  for (; one; one = one.parentElement) {
    const found = channels(getComputedStyle(one).backgroundColor);
    if (found.length === 3 || found[3] === 1) return found;
  }
  return [255, 255, 255];
};
const low = new Set();
for (const one of document.body.querySelectorAll("*:not(script):not(svg *)")) {
  if (![...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim())) continue;
  const [a, b] = [light(channels(getComputedStyle(one).color)), light(behind(one))].sort((x, y) => y - x);
  if ((a + 0.05) / (b + 0.05) < 4.5) low.add(one.outerHTML.slice(0, 120));
}
return [...low];
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_has_the_contrast_that_wcag_asks_for(opened, scheme):
    browser = opened(filled_with("x"), scheme=scheme)
    assert browser.run(CONTRAST) == []


def test_light_dark_and_paper_have_their_own_colours(opened):
    browser = opened(several())
    colours = "const style = getComputedStyle(document.body); return [style.color, style.backgroundColor]"
    light = browser.run(colours)
    browser.emulate("screen", "dark")
    dark = browser.run(colours)
    browser.emulate("print", "dark")
    paper = browser.run(colours)
    assert light != dark
    assert paper == [light[0], "rgba(0, 0, 0, 0)"]


def pick(browser, **values):
    """Set fields of the filter as a person would, and wait until what was found is told."""
    script = (
        "const form = document.getElementById('filter');"
        "for (const [name, value] of Object.entries(arguments[0])) {"
        "  form.elements[name].value = value;"
        "  form.elements[name].dispatchEvent(new Event('input', { bubbles: true }));"
        "}"
    )
    browser.run(script, values)
    settle(browser)


def press(browser, selector):
    browser.run("document.querySelector(arguments[0]).click()", selector)
    settle(browser)


def settle(browser):
    """Wait for what the page does after a pause of 120 ms: its timers run in order."""
    browser.wait_for("setTimeout(arguments[0], 121)")


def rows(browser, table="timeline"):
    """The times of the entries that are shown, or the names."""
    return visible(browser, f".{table} tbody:not(.run) :is(.when, .name)")


def heads(browser):
    """The days of the runs that are shown."""
    return [text[:10] for text in visible(browser, ".run .when")]


@pytest.mark.parametrize(
    ("values", "days"),
    [
        ({"words": "GROWTH"}, [3, 1]),
        ({"words": "growth  null"}, [1]),
        ({"words": "two lines"}, [2]),
        ({"words": "x" * 300}, [4]),
        ({"words": "2026-11-02"}, [2]),
        ({"words": "8a927bd71f7f1ab1f3ddcc9ebd3d3f2ed1b5ff4a"}, [4, 3, 2, 1]),
        ({"words": "anaassignment"}, []),
        ({"address": "BETA"}, [4, 3]),
        ({"who": "bo"}, [3, 2]),
        ({"who": "bo", "outcome": "applied"}, [3]),
        ({"outcome": "recorded"}, [4]),
        ({"words": "import"}, [4]),
        ({"words": "<b>"}, []),
        ({"since": "2026-11-03"}, [4, 3]),
        ({"until": "2026-11-02"}, [2, 1]),
        ({"since": "2026-11-02", "until": "2026-11"}, [4, 3, 2]),
        ({"field": "sql"}, [2]),
    ],
)
def test_the_filter_leaves_what_fits_and_says_how_many(opened, values, days):
    browser = opened(several())
    pick(browser, **values)
    assert heads(browser) == [f"2026-11-0{day}" for day in days]
    assert len(rows(browser)) == len(days)
    assert f"{len(days)} of 4 changes" in browser.texts("#filter output")[0]
    assert bool(visible(browser, ".timeline")) == bool(days)
    assert visible(browser, ".timeline + p") == ([] if days else ["Nothing here matches the filter."])


def test_a_filter_hides_no_row_of_a_table_that_lacks_what_it_filters_by(opened):
    browser = opened(several())
    pick(browser, outcome="rejected", who="bo")
    assert rows(browser, "unmanaged") == ["stray"]
    pick(browser, words="stray", outcome="", who="")
    assert (rows(browser, "unmanaged"), rows(browser)) == (["stray"], [])
    press(browser, "#filter button")
    assert len(rows(browser)) == 4
    assert browser.texts("#filter output") == [""]


def test_the_filter_offers_what_there_is(opened):
    browser = opened(several())
    assert browser.texts("select[name=who] option") == ["everybody", "ana", "bo", "ci"]
    assert browser.texts("select[name=outcome] option") == ["every", "applied", "recorded", "rejected"]
    assert browser.run("return [...document.querySelectorAll('datalist option')].map((one) => one.value)") == [A, B]


def test_only_the_first_of_many_entries_are_laid_out_but_the_filter_finds_all(opened):
    browser = opened(many(1200))
    assert len(rows(browser)) == 500
    assert "Show the other 700" in browser.texts(".timeline ~ .more")
    pick(browser, words="number 7 ")
    assert browser.texts("#filter output")[0].endswith("1,200 changes · 0 of 100 managed")
    pick(browser, words="")
    press(browser, ".timeline ~ .more")
    assert len(rows(browser)) == 1200


def test_without_its_script_everything_is_there_and_nothing_that_does_not_work(opened, without_scripts):
    browser = opened(several())
    assert len(rows(browser)) == 4
    assert visible(browser, "form, button") == []


def test_on_paper_what_is_folded_stays_folded_also_without_the_script(opened, without_scripts):
    browser = opened(several(), media="print")
    assert visible(browser, "td details pre") == []
    assert [text[-14:] for text in visible(browser, "td details summary")] == ["302 characters"]
    # A whole hash would make five lines of each row.
    assert visible(browser, ".commit .rest") == []
    assert visible(browser, "form, button, nav, figure details") == []


def runs(*lengths):
    """Runs of so many changes each, the newest last."""
    told = [
        entry(
            f"assignment_source.s{n}",
            change("description", "a", f"{run} {n}"),
            run_hash=str(run),
            at=f"2026-11-{run + 1:02}T10:00:00.000Z",
        )
        for run, length in enumerate(lengths)
        for n in range(length)
    ]
    return page(*told)


def test_a_long_run_is_folded_and_found_all_the_same(opened):
    browser = opened(runs(41, 2))
    assert (len(heads(browser)), len(rows(browser))) == (2, 2)
    assert visible(browser, ".run button") == ["Show 41 changes"]
    press(browser, ".run button:not([hidden])")
    assert (visible(browser, ".run button"), len(rows(browser))) == (["Fold"], 43)
    press(browser, ".run button:not([hidden])")
    pick(browser, words='"0 17"')
    assert (heads(browser), len(rows(browser)), visible(browser, ".run button")) == (["2026-11-01"], 1, [])
    pick(browser, words="")
    assert len(rows(browser)) == 2


def test_sources_that_drifted_alike_are_folded_and_found_by_what_they_have_in_common(opened):
    addresses = [f"assignment_source.s{n}" for n in range(9)]
    same = [drift(one, change("team", "x", "y")) for one in addresses]
    other = drift(A, change("description", "v", "w"))
    browser = opened(page(of=audit(snapshot([A, *addresses]), other, *same), is_audit=True))
    assert visible(browser, ".run button") == ["Show 9 sources"]
    assert visible(browser, ".drift tbody .address b") == [A]
    press(browser, ".run button")
    assert visible(browser, ".drift tbody .address b") == [A, *addresses]
    pick(browser, field="team")
    assert visible(browser, ".drift tbody .address b") == addresses


def test_all_is_unfolded_and_folded_again_at_once(opened):
    browser = opened(runs(41, 2))
    assert visible(browser, ".managed tbody") == []
    press(browser, "#unfold")
    assert (len(rows(browser)), len(visible(browser, ".managed tbody"))) == (43, 41)
    press(browser, "#unfold")
    assert (len(rows(browser)), visible(browser, ".managed tbody")) == (2, [])


def test_a_folded_table_is_open_as_long_as_something_of_it_is_asked_for(opened):
    browser = opened(runs(41))
    pick(browser, address="s17")
    assert visible(browser, ".managed tbody .address b") == ["assignment_source.s17"]
    pick(browser, address="")
    assert visible(browser, ".managed tbody") == []


def test_ten_changes_take_at_most_a_page_of_paper(opened):
    browser = opened(runs(*[4] * 25, *[60] * 10))
    browser.command("Emulation.setEmulatedMedia", media="", features=[])
    paper = base64.b64decode(browser.command("Page.printToPDF", preferCSSPageSize=True)["data"])
    assert len(re.findall(rb"/Type /Page\b", paper)) <= 10


def test_for_printing_all_that_is_found_is_laid_out_and_afterwards_as_before(opened):
    browser = opened(many(600))
    pick(browser, outcome="applied")
    press(browser, ".timeline summary") if browser.texts(".timeline summary") else None
    assert len(rows(browser)) == 420
    pick(browser, outcome="")
    browser.run("dispatchEvent(new Event('beforeprint'))")
    assert len(rows(browser)) == 600
    browser.run("dispatchEvent(new Event('afterprint'))")
    assert len(rows(browser)) == 500


def test_it_prints_and_is_as_before_afterwards(opened):
    browser = opened(several(), scheme="dark")
    assert base64.b64decode(browser.command("Page.printToPDF", preferCSSPageSize=True)["data"]).startswith(b"%PDF")
    assert browser.run("return document.querySelectorAll('td details[open]').length") == 0


def test_the_command_that_verifies_is_copied(opened):
    browser = opened(several())
    browser.command("Browser.grantPermissions", permissions=["clipboardReadWrite", "clipboardSanitizedWrite"])
    press(browser, "button[data-copies]")
    assert browser.texts("button[data-copies]") == ["Copied"]
    script = "navigator.clipboard.readText().then(arguments[0])"
    assert browser.wait_for(script) == f"statform history --verify --expect {HEAD}"


def test_what_can_be_used_is_reached_by_the_keyboard_in_order(opened):
    browser = opened(several())
    name = (
        "const one = document.activeElement; return one.name || one.getAttribute('href') || one.type || one.localName"
    )
    reached = []
    for _ in range(17):
        browser.press_tab()
        reached.append(browser.run(name))
    links = ["#drift", "#timeline", "#managed", "#verify"]
    fields = ["words", "address", "who", "field", "since", "until", "outcome", "reset", "button"]
    assert reached == [*links, *fields, "summary", "summary", "summary", "button"]


def test_a_screen_reader_finds_headings_tables_and_counts(opened):
    browser = opened(filled_with("x"))
    headings = browser.run("return [...document.querySelectorAll('h1, h2, h3')].map((one) => one.localName)")
    assert headings == ["h1", *["h2"] * 7]
    assert browser.texts("th:not([scope])") == []
    roles = Counter(one["role"]["value"] for one in browser.command("Accessibility.getFullAXTree")["nodes"])
    # An output is a live region that speaks when there is a pause.
    assert (roles["status"], roles["search"], roles["navigation"], roles["main"]) == (1, 1, 1, 1)
    assert roles["img"] + roles["image"] == 1
    # Managed sources have a table for each type.
    assert (roles["table"], roles["region"]) == (7, 7)
    # Of each run and of each thing.
    assert roles["rowheader"] == 18
