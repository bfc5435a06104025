"""`statform plan`: definitions against state, field by field."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys

import cost
import pytest
from command import STATFORM, source
from person import at_terminal

COLOUR = re.compile(r"\x1b\[\d*m")
BEFORE = '[assignment_source.one]\nadopt = true\ndescription = "before"\ntags = ["a"]\n'
AFTER = '[assignment_source.one]\nadopt = true\ndescription = "after"\ntags = ["b", "a"]\n'
PLANNED = """\
statform will perform these actions, in this order:

  # assignment_source.one will be updated (PATCH one)
  ~ assignment_source.one
      ~ description = "before" -> "after"
      ~ tags        = + "b"

Plan: 1 to update.
"""


@pytest.fixture
def planned(project, emulator):
    """A project whose state is as BEFORE and whose definitions are AFTER."""
    emulator(source("one"))
    project.define(BEFORE)
    project.apply()
    project.define(AFTER)
    return project


def test_a_plan_is_on_stdout_alone(planned):
    ran = planned.run("plan")
    assert (ran.code, ran.out, ran.err) == (0, PLANNED, "")


def test_it_needs_no_key_no_network_and_no_lock_and_leaves_every_file_as_it_is(planned):
    del planned.environ["STATSIG_API_KEY"]
    before = planned.files
    (planned.directory / "statform.state.lock").unlink()
    ran = planned.run("plan", STATSIG_BASE_URL="http://127.0.0.1:1")
    assert (ran.code, ran.out) == (0, PLANNED)
    assert planned.files == before
    assert not (planned.directory / "statform.state.lock").exists()


# What only a plan with changes shows, what only a run or another command needs, and the rare cases of each.
LATE = {
    "asyncio",
    "attr",
    "bisect",
    "contextvars",
    "difflib",
    "fcntl",
    "heapq",
    "httpx",
    "pathlib",
    "planner.cli.apply",
    "planner.definitions.optional.moved",
    "planner.definitions.positions",
    "planner.definitions.settings_only",
    "planner.definitions.optional.sql_file",
    "planner.definitions.optional.variables",
    "planner.files",
    "planner.pacing",
    "planner.plan.moves",
    "planner.plan.order",
    "planner.plan.saved",
    "planner.plan.select",
    "planner.render.changes",
    "planner.render.diagnostics",
    "planner.render.plan_notes",
    "planner.render.plan_text",
    "shlex",
    "shutil",
    "signal",
    "ssl",
    "state.fold",
    "state.journal",
    "state.places.durable",
    "state.places.local_writer",
    "state.places.shared",
    "state.places.urls",
    "state.records",
    "state.storage",
    "state.store",
    "subprocess",
    "unicodedata",
}


@pytest.mark.unmeasured
def test_a_plan_without_changes_loads_nothing_that_it_does_not_need(planned):
    """Each of these would be some of its time, which is little else than what it loads."""
    planned.define(BEFORE)
    program = """
import json, sys
from planner.cli.main import run
run(["plan"])
print(json.dumps([*sys.modules]))
"""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=planned.directory, capture_output=True, text=True, check=True)
    said, loaded = done.stdout.splitlines()
    assert said == "No changes. The state matches the definitions."
    # A list of what has gone would hold nothing.
    assert [name for name in LATE if importlib.util.find_spec(name) is None] == []
    assert {"planner.plan.build", "state.snapshot"} <= {*json.loads(loaded)}
    assert LATE & {*json.loads(loaded)} == set()


@pytest.mark.unmeasured
def test_it_loads_no_http_client_and_nothing_else_that_would_be_much_of_its_time(planned):
    program = """
import sys
from planner.cli.main import run
code = run(["plan"])
sys.exit(code or sum(name.partition(".")[0] in {"httpx", "ssl", "attr", "pathlib"} for name in sys.modules))
"""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=planned.directory, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, PLANNED), done.stderr


def test_detailed_exit_codes_tell_changes_from_none(planned):
    assert planned.run("plan", "--detailed-exitcode").code == 2
    planned.define(BEFORE)
    ran = planned.run("plan", "--detailed-exitcode")
    assert (ran.code, ran.out) == (0, "No changes. The state matches the definitions.\n")
    planned.define("[assignment_source.one]\nadopt = true\nteam = 5\n")
    assert planned.run("plan", "--detailed-exitcode").code == 1


def test_the_same_input_gives_the_same_bytes(planned):
    outs = {planned.run("plan", PYTHONHASHSEED=str(seed)).out for seed in range(4)}
    assert outs == {PLANNED}


@pytest.mark.parametrize(
    ("arguments", "environ", "is_coloured"),
    [
        ((), {}, False),
        (("--color", "always"), {}, True),
        (("--color", "always"), {"NO_COLOR": "1"}, True),
        (("--color", "never"), {}, False),
    ],
)
def test_output_that_is_piped_is_coloured_only_on_demand(planned, arguments, environ, is_coloured):
    for words in (("plan", *arguments), (*arguments, "plan")):
        out = planned.run(*words, **environ).out
        assert bool(COLOUR.search(out)) == is_coloured
        assert COLOUR.sub("", out) == PLANNED


@pytest.mark.parametrize(
    ("arguments", "environ", "is_coloured"),
    [
        ((), {"TERM": "xterm"}, True),
        (("--color", "auto"), {"TERM": "xterm"}, True),
        ((), {"TERM": "xterm", "NO_COLOR": ""}, True),
        ((), {"TERM": "xterm", "NO_COLOR": "1"}, False),
        ((), {"TERM": "dumb"}, False),
        (("--color", "always"), {"TERM": "dumb", "NO_COLOR": "1"}, True),
        (("--color", "never"), {"TERM": "xterm"}, False),
    ],
)
def test_a_terminal_gets_colour_unless_it_or_its_owner_wants_none(planned, arguments, environ, is_coloured):
    command = [str(STATFORM), "plan", *arguments]
    with at_terminal(command, planned.directory, planned.environ | environ) as terminal:
        assert terminal.end() == 0
    assert bool(COLOUR.search(terminal.shown)) == is_coloured
    assert COLOUR.sub("", terminal.shown) == PLANNED


def test_an_unknown_colour_is_a_usage_error(planned):
    ran = planned.run("plan", "--color", "blue")
    assert (ran.code, ran.out) == (1, "")
    assert "'blue' is not one of 'auto', 'always', 'never'" in ran.err


@pytest.mark.parametrize("columns", [50, 80, 120])
def test_values_fill_the_width_of_the_terminal_and_no_more(planned, columns):
    words = " ".join(f"word{n}" for n in range(60))
    planned.define(
        f'[assignment_source.one]\nadopt = true\ndescription = "{words}"\ntags = ["{"x" * 200}", "b", "c"]\n'
    )
    with at_terminal([str(STATFORM), "plan"], planned.directory, planned.environ, columns) as terminal:
        assert terminal.end() == 0
    lines = [line for line in COLOUR.sub("", terminal.shown).splitlines() if line.startswith("      ")]
    assert max(map(len, lines)) <= columns
    assert sum(len(line) > columns - 12 for line in lines) >= 2
    assert words in " ".join(" ".join(lines).split())


def test_output_that_is_piped_is_not_folded(planned):
    words = "word " * 200
    planned.define(f'[assignment_source.one]\nadopt = true\ndescription = "{words}"\n')
    assert f'"before" -> "{words}"\n' in planned.run("plan", COLUMNS="40").out


def test_a_target_leaves_out_all_but_itself_and_what_it_depends_on(project):
    project.define(
        '[assignment_source.one]\nadopt = true\nteam = "x"\n'
        '[assignment_source.two]\nadopt = true\nteam = "x"\ndepends_on = ["assignment_source.one"]\n'
        '[assignment_source.three]\nadopt = true\nteam = "x"\n[assignment_source.four]\nadopt = true\nteam = "x"\n'
    )

    def adopted(*targets):
        words = [word for target in targets for word in ("--target", f"assignment_source.{target}")]
        return re.findall(r"(?m)^  \+ assignment_source\.(\w+)$", project.run("plan", *words).out)

    assert adopted() == ["one", "two", "three", "four"]
    assert adopted("two") == ["one", "two"]
    assert adopted("three") == ["three"]
    assert adopted("four", "three") == ["three", "four"]


def test_a_target_that_is_nothing_is_an_error_with_the_nearest_address(project):
    project.define('[assignment_source.checkout]\nadopt = true\nteam = "x"\n')
    ran = project.run("plan", "--target", "assignment_source.chekout")
    assert (ran.code, ran.out) == (1, "")
    assert 'did you mean "assignment_source.checkout"?' in ran.err


def test_a_target_with_escapes_in_it_is_shown_escaped(project):
    project.define("")
    ran = project.run("plan", "--target", "\x1b[2J\u202e")
    assert ran.code == 1
    assert "\x1b" not in ran.err
    assert "\u202e" not in ran.err


def test_an_sql_that_differs_from_the_state_is_a_full_update(planned):
    planned.define('[assignment_source.one]\nadopt = true\nsql = "SELECT 2"\n')
    ran = planned.run("plan")
    assert (ran.code, ran.err) == (0, "")
    assert "# assignment_source.one will be updated (full update, POST one)\n" in ran.out
    assert '      ~ sql = "SELECT 1" -> "SELECT 2"\n' in ran.out


def test_a_source_that_is_no_longer_defined_is_forgotten_without_a_request(planned):
    planned.define("")
    ran = planned.run("plan", "--detailed-exitcode")
    assert ran.code == 2
    assert "# assignment_source.one is no longer defined and will be forgotten; the source one stays" in ran.out


def test_strings_of_the_state_and_of_files_are_shown_escaped(project, emulator):
    emulator(source("one", description="\x1b[31mred\u202e"))
    project.define("[assignment_source.one]\nadopt = true\nisVerified = true\n")
    project.apply()
    project.define('[assignment_source.one]\nadopt = true\ndescription = "\\u001b]0;title\\u0007"\n')
    for arguments in ((), ("--color", "never")):
        out = project.run("plan", *arguments).out
        assert r'"\u001b[31mred\u202e" -> "\u001b]0;title\u0007"' in out
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f\u202e]", out)


def test_an_outcome_that_nobody_knows_is_warned_of_on_stderr(planned):
    journal = planned.directory / "statform.state.journal.jsonl"
    kinds = [json.loads(line)["record"]["kind"] for line in journal.read_text().splitlines()]
    cut = journal.read_text().splitlines(keepends=True)[: kinds.index("intent") + 1]
    journal.write_text("".join(cut))
    (planned.directory / "statform.state.json").unlink()
    ran = planned.run("plan")
    assert ran.code == 0
    assert "Plan: 1 to adopt" in ran.out
    assert "Warning: the outcome of the last request for assignment_source.one is unknown.\n" in ran.err
    # The run is dead: nobody has the lock.
    assert "has not ended" not in ran.err
    assert "Warning" not in ran.out


@pytest.mark.parametrize("content", ["", "{}", "<<<<<<< HEAD\n", "not json"])
def test_a_state_file_that_is_not_as_it_was_written_is_an_error_and_not_an_empty_state(planned, content):
    planned.write("statform.state.json", content)
    ran = planned.run("plan")
    assert (ran.code, ran.out) == (1, "")
    assert "statform.state.json" in ran.err
    assert planned.files["statform.state.json"] == content.encode()


def test_a_reader_who_leaves_after_one_line_is_no_error(planned):
    ran = planned.shell("statform plan | head -1")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == PLANNED.splitlines(keepends=True)[0]


def test_a_stdout_that_takes_nothing_more_is_an_error(planned):
    ran = planned.shell("statform plan >/dev/full")
    assert ran.code == 1
    assert ran.err == "Error: stdout can't be written: No space left on device\n"


def test_a_closed_stderr_or_stdin_changes_nothing(planned):
    ran = planned.shell("statform plan 2>&- <&-")
    assert (ran.code, ran.out) == (0, PLANNED)


def test_a_plan_that_takes_minutes_at_the_rate_limit_says_so(project):
    project.define(
        "".join(f'[assignment_source.s{n}]\nadopt = true\nteam = "x"\n' for n in range(30)),
        settings="pacing = { per_10_seconds = 10, per_15_minutes = 10 }",
    )
    assert "30 requests: at least 30 min 0 s (the API's rate limit).\n" in project.run("plan").out


def test_a_thousand_sources_are_planned_in_a_second_or_so(project):
    fields = (
        'description = "d"\ntags = ["a", "b"]\ntimestampColumn = "ts"\ngroupIDColumn = "g"\n'
        'idTypeMapping = [{ statsigUnitID = "userID", column = "user_id" }]\n'
    )
    for part in range(10):
        names = range(part * 100, part * 100 + 100)
        project.write(
            f"definitions/d{part}.toml", "".join(f"[assignment_source.s{n}]\nadopt = true\n{fields}" for n in names)
        )
    project.define("")
    with cost.at_most(5):
        ran = project.run("plan")
    assert "\nPlan: 1000 to adopt.\n" in ran.out


def test_json_is_one_object_and_the_same_each_time(project):
    project.define('[assignment_source.a]\nadopt = true\ndescription = "x"\n')
    ran = project.run("plan", "--json", "--detailed-exitcode")
    assert (ran.code, ran.err) == (2, "")
    found = json.loads(ran.out)
    assert (found["format_version"], found["terraform_version"]) == ("1.2", "1.7.0")
    assert found["resource_changes"][0]["change"]["importing"] == {"id": "a"}
    assert project.run("plan", "--json").out == ran.out
