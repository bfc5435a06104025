"""Strings that somebody with console access, a pull request or an environment brings, through every output there is.

One project has them all, as names, values, file names and people: what a command prints is checked byte by byte.
"""

from __future__ import annotations

import json
import re
import unicodedata
from html.parser import HTMLParser
from pathlib import Path

import pytest
from command import Emulator, Project, Ran, source

HOSTILE = [
    "\x1b[31mred\x1b[0m", "\x1b]0;title\x07", "\x1b]8;;http://evil\x1b\\link", "\x9b31m", "\x00", "\x7f", "\x08\x08",
    "a\rb", "::error::x", "\n::error file=x,line=1::y", "  ::add-mask::a", "\t::set-output name=x::y",
    "\u00a0::stop-commands::t", "x\n   ::debug::y\nz", "\r::warning::x", "\x0b::error::x", "\x85::error::x",
    "\u2028::error::x", "::", "##[add-mask]a", "x ##[error]y", "##vso[task.setvariable variable=x]y",
    "##teamcity[message text='x']", "###[group]x", "##[", "#\n#[x]", "\u202egnp.exe", "\u2066x\u2069",
    "\u200bzero\u200d", "\ufeffbom", "\u00ad", "\U000e0041\U000e007f", "a\u0301\u0301\u0301", "e\u0301",
    "**bold** [link](javascript:alert(1)) @everyone #1", "`` ` ```", "```\n# head\n```", "| a | b |\\",
    "<b>&amp;</b>", "<script>alert(1)</script>", "</style><img src=x onerror=alert(1)>", "'\"><svg/onload=alert(1)>",
    "<!-- -->", "]]>", "${{ secrets.KEY }}", "$(id)", "{{7*7}}", "%0A::error::x", "\\n::error::x",
    "'''\n::error::x\n'''", '"""', "x" * 300, "../../etc/passwd", "a/b?c#d", "%2e%2e", "\U0001f642", "名前", " ", "-rf",
    "null",
]  # fmt: skip
_BIDI = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
_UNSEEN = set("\u200b\u200c\u200d\u2060\ufeff\u00ad\u034f\u2028\u2029")
OURS = re.compile(r"::(error|warning) title=statform,")


def check_inert(shown: str, *, annotates: bool = False) -> None:
    """Nothing in the text is acted on by a terminal or by a CI."""
    for character in set(shown) - {"\n"}:
        assert unicodedata.category(character) not in {"Cc", "Cs", "Zl", "Zp"}, ascii(character)
        assert unicodedata.bidirectional(character) not in _BIDI, ascii(character)
        assert character not in _UNSEEN, ascii(character)
        assert not "\U000e0000" <= character <= "\U000e0fff", ascii(character)
    for line in shown.split("\n"):
        # As .NET's TrimStart does for the runner of GitHub.
        is_command = line.lstrip().startswith("::")
        assert not is_command or (annotates and OURS.match(line)), line
        assert not re.search(r"(?i)##[a-z]*\[", line), line


class Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append(tag)
        assert not [name for name, _ in attrs if name.startswith("on")]


def key(number: int) -> str:
    return f"k{number}"


def definitions(change: str = "") -> str:
    """A definition of each string, in every field that takes one; with a `change` each value is another."""
    lines = []
    for number, text in enumerate(HOSTILE):
        value = change + text
        lines += [
            f"[assignment_source.{key(number)}]",
            "adopt = true",
            f"name = {toml(name(text))}",
            f"description = {toml(f'{value}{chr(10)}{text}{chr(10)}{value}')}",
            f"tags = [{toml(value)}]",
            f"timestampColumn = {toml(value)}",
            f"idTypeMapping = [{{ statsigUnitID = {toml(value)}, column = {toml(value)} }}]",
            f"owner = {{ ownerID = {toml(value)}, ownerName = {toml(text)} }}",
            f"team = {toml(value)}",
        ]
    return "\n".join(lines)


def name(text: str) -> str:
    return f"{text}n"


def toml(text: str) -> str:
    # JSON's escapes are TOML's, but for halves of characters, of which there are none, and DEL.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def run(project: Project, *words: str, codes: tuple[int, ...] = (0,), **environ: str) -> Ran:
    ran = project.run(*words, LOGNAME="::error::\x1b[31mme\u202e", **environ)
    assert ran.code in codes, ran
    return ran


@pytest.fixture
def settled(project: Project, emulator) -> tuple[Project, Emulator]:
    remote = emulator(
        *[source(name(text)) for text in HOSTILE], *[source(f"{text}u", description=text) for text in HOSTILE]
    )
    project.define(definitions())
    check_inert(*[run(project, "apply", "--auto-approve").out])
    return project, remote


def test_no_string_is_acted_on_by_what_shows_it_and_the_api_gets_each_as_it_is(settled) -> None:
    project, remote = settled
    for number, text in enumerate(HOSTILE):
        found = remote.sources[name(text)]
        assert found["description"] == f"{text}\n{text}\n{text}", number
        assert (found["tags"], found["team"], found["timestampColumn"]) == ([text], text, text)
        assert found["idTypeMapping"] == [{"statsigUnitID": text, "column": text}]
    project.define(definitions("new "))
    for text in HOSTILE[:20]:
        remote.change(name(text), team=f"{text}\n::error::theirs")
    for words in (
        ["validate"], ["plan"], ["plan", "--markdown"], ["plan", "--target", "assignment_source.k9"],
        ["plan", "--refresh"], ["audit"], ["audit", "--markdown", "--definitions"], ["audit", "--who"], ["show"],
        ["state", "list"],
        ["import", "--all", "--dry-run"], ["history"], ["history", "--markdown"], ["history", "--verify"],
        *(["state", "show", f"assignment_source.{key(number)}"] for number in (1, 9, 13, 40)),
    ):  # fmt: skip
        ran = run(project, *words, codes=(0, 1, 2) if "--refresh" in words else (0, 2))
        check_inert(ran.out)
        check_inert(ran.err)
    for words in (
        ["plan", "--json"],
        ["audit", "--json"],
        ["history", "--json"],
        ["show", "--json"],
        ["validate", "--json"],
    ):
        ran = run(project, *words, codes=(0, 2))
        whole = f"[{','.join(ran.out.splitlines())}]" if words[0] == "history" else ran.out
        documents = json.loads(whole)
        check_inert(ran.out)
        if words[0] in {"plan", "history", "show"}:
            values = set(_strings(documents))
            assert not [text for text in HOSTILE if text not in values], words
    ran = run(project, "apply", "--auto-approve", codes=(1,))
    assert "somebody else changed" in ran.err
    check_inert(ran.out)
    check_inert(ran.err)
    check_inert(run(project, "refresh", "--auto-approve").out)
    ran = run(project, "apply", "--auto-approve")
    check_inert(ran.out)
    check_inert(ran.err)
    check_inert(run(project, "import", "--all").err)
    assert run(project, "plan", "--detailed-exitcode").out.startswith("No changes.")
    assert {one["description"] for n, one in remote.sources.items() if n.endswith("u")} == set(HOSTILE)


def _strings(value: object) -> list[str]:
    match value:
        case str():
            return [value]
        case list():
            return [text for item in value for text in _strings(item)]
        case dict():
            return [text for item in value.items() for text in _strings(list(item))]
        case _:
            return []


@pytest.mark.parametrize("words", [["audit", "--html"], ["history", "--html"]], ids=" ".join)
def test_no_string_is_markup_in_a_page(settled, words: list[str]) -> None:
    project, _ = settled
    run(project, *words, "page.html", codes=(0, 2))
    page = (project.directory / "page.html").read_text()
    for character in set(page) - {"\n"}:
        assert unicodedata.category(character) not in {"Cc", "Cs", "Zl", "Zp"}, ascii(character)
    found = Tags(page).found
    assert (found.count("script"), found.count("style")) == (1, 1)
    assert "img" not in found


def test_errors_and_annotations_of_hostile_files_are_acted_on_by_nobody(project: Project, tmp_path: Path) -> None:
    for number, text in enumerate(HOSTILE):
        project.write(
            f"definitions/{text.replace('/', '_').replace(chr(0), '')[:80]}{number}.toml",
            f"[assignment_source.x{number}]\n{toml(text)} = 1\ndescription = [\n{toml(text)}]\nname = 1 # {text}\n",
        )
        project.write(
            f"definitions/b{number}.toml",
            f"[assignment_source.y{number}]\nadopt = true\ndescription = '''\n{text}''' x\n{text}\n",
        )
    project.define("")
    summary = tmp_path / "summary"
    for words in (["validate"], ["plan"], ["validate", "--json"], ["validate", "--github"], ["plan", "--github"]):
        annotates = "--github" in words
        ran = run(project, *words, codes=(1,), GITHUB_ACTIONS="true", GITHUB_STEP_SUMMARY=str(summary))
        check_inert(ran.out)
        check_inert(ran.err, annotates=annotates)
        assert ("::error title=statform," in ran.err) == annotates


@pytest.mark.parametrize("text", [text for text in HOSTILE if "\0" not in text][::6])
@pytest.mark.parametrize("words", [["plan", "--target"], ["-C"]], ids=" ".join)
def test_what_the_command_line_brings_is_acted_on_by_nobody(project: Project, words: list[str], text: str) -> None:
    project.define("")
    ran = run(project, *words, f"{text}!", codes=(1,))
    check_inert(ran.err)


def test_names_that_look_alike_are_warned_about_by_validate_and_plan(project: Project) -> None:
    project.define(
        '[assignment_source.a]\nadopt = true\nname = "Checkout"\n'
        '[assignment_source.b]\nadopt = true\nname = "checkout"\n'
    )
    for words in (["validate"], ["plan"]):
        ran = run(project, *words)
        assert ran.err.startswith(
            'Warning: the remote name "checkout" looks like "Checkout", that of assignment_source.a\n'
        )
        assert "  statform.toml:8:1, assignment_source.b, field name\n" in ran.err
    ran = run(project, "plan", "--github", GITHUB_ACTIONS="true")
    assert "\n::warning title=statform,file=" in ran.err
    found = json.loads(run(project, "validate", "--json").out)
    assert (found["valid"], found["error_count"], found["warning_count"]) == (True, 0, 1)
    assert [one["severity"] for one in found["diagnostics"]] == ["warning"]


def test_a_name_that_is_no_text_can_be_read_in_the_journal_by_everybody(project: Project, emulator) -> None:
    emulator(source("a"))
    project.define('[assignment_source.a]\nadopt = true\ndescription = "after"\n')
    project.apply(LOGNAME="m\udcff\u00e9")
    (who,) = {record["who"] for record in project.records if "who" in record}
    assert who == "m\ufffd\u00e9"


def test_half_a_character_at_the_remote_blocks_no_command(project: Project) -> None:
    from rawserver import Act, answer, serve  # noqa: PLC0415 - the only test of these with a server that lies

    project.define('[assignment_source.a]\nadopt = true\ndescription = "after"\n')
    entries = [source("a", sql="x\ud800y"), source("b", team="\udc00"), source("c\ud800")]
    with serve([source("a")]) as api:
        api.lists = [Act(answer=answer(200, {"data": entries, "pagination": {"nextPage": None}}))] * 99
        api.patches = [Act(answer=answer(200, {"data": source("a", description="after", sql="x\ud800y")}))]
        for words in (
            ["apply", "--auto-approve"], ["audit"], ["import", "--all"], ["refresh", "--auto-approve"],
            ["plan", "--refresh"], ["audit", "--json"], ["audit", "--html", "page.html"], ["history"], ["show"],
            ["history", "--verify"], ["plan"],
        ):  # fmt: skip
            ran = run(project, *words, codes=(0, 2), STATSIG_BASE_URL=api.url)
            check_inert(ran.out)
            if words[0] == "apply":
                project.age()
            if words[0] in {"apply", "audit", "import", "refresh"}:
                assert 'Warning: "a" has half a character (a lone surrogate), which is read as U+FFFD\n' in ran.err
                assert 'Warning: "c\\ud800" is left out: its name has half a character' in ran.err
    assert project.resources["assignment_source.a"]["data"]["sql"] == "x\ufffdy"
    assert set(project.resources) == {"assignment_source.a", "assignment_source.b"}
