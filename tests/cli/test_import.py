"""`statform import`: a project that was made in the console, taken over."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest
import rawserver
from command import STATFORM, source, without_rights
from lossy import serve
from person import at_terminal

A = "assignment_source.a"
NAMES = [
    *(
        "проверка показов",
        "曝光 日志",
        "تعرض",
        "ünïcode",
        "é",
        "e\u0301",
        "🙂👩\u200d👧",
        "\u202eevil",
        "new\nline",
        "tab\tname",
    ),
    *(
        "a/b",
        "a.b.c",
        "..x",
        'say "hi"',
        "it's",
        "back\\slash",
        "100%",
        "q?x=1#f",
        "%2e%2e",
        "  lead",
        "trail ",
        "a_b",
        "a b",
    ),
]
SQLS = [
    "SELECT 1",
    "SELECT *\nFROM t\nWHERE a = 'x'\n",
    "SELECT '''x''' -- \\d\n",
    "a\r\n b \n\n\tc",
    "\nleading",
    "q'\nz'",
]


def test_a_thousand_sources_are_taken_over_and_nothing_is_left_to_plan(project, emulator):
    sources = [
        source(f"{NAMES[n % len(NAMES)]} {n}", sql=SQLS[n % len(SQLS)], description=f'{n} "🙂"\n\\')
        for n in range(1000)
    ]
    emulator(*sources)
    project.define("")
    ran = project.run("import", "--all")
    assert (ran.code, ran.out) == (0, "Imported 1,000 sources. `statform plan` now shows no changes.\n")
    assert ran.err == "wrote definitions/imported.toml\nwrote definitions/imported-2.toml\n"
    assert project.run("plan").out == "No changes. The state matches the definitions.\n"
    assert project.run("audit").code == 0
    assert {one["name"] for one in project.resources.values()} == {one["name"] for one in sources}
    again = project.run("import", "--all")
    assert again.out == "Nothing to import: the state has every source that was asked for.\n"


def test_what_is_defined_is_imported_to_its_address_and_the_rest_is_defined(project, emulator):
    emulator(source("theirs"), source("mine", description="theirs"))
    project.define('[assignment_source.a]\nname = "mine"\ndescription = "mine"\n')
    ran = project.run("import", "--all")
    assert ran.out == "Imported 2 sources. `statform plan` now shows 1 change.\n"
    assert {address: one["name"] for address, one in project.resources.items()} == {
        "assignment_source.a": "mine",
        "assignment_source.theirs": "theirs",
    }
    assert [record["kind"] for record in project.records] == ["genesis", "begin", "import", "import", "end"]
    assert project.run("plan").last == "Plan: 1 to update, 1 unchanged."


def test_patterns_choose_and_files_are_never_overwritten(project, emulator):
    emulator(source("a_v1"), source("a_v2"), source("b_v2"))
    project.define("")
    assert project.run("import", "--all", "--match", "a_*").out.startswith("Imported 2 sources.")
    first = project.files["definitions/imported.toml"]
    assert project.run("import", "--all", "--match", "a_*").out.startswith("Nothing to import")
    ran = project.run("import", "--all", "--match", "a_*", "--match", "b_v1")
    assert (ran.code, ran.out) == (1, "")
    assert '--match b_v1: no source at the remote has such a name; did you mean "b_v2"?; nothing was' in ran.err
    assert project.run("import", "--all").err == "wrote definitions/imported-2.toml\n"
    assert project.files["definitions/imported.toml"] == first
    assert project.run("plan").out == "No changes. The state matches the definitions.\n"


def test_a_dry_run_shows_the_definitions_and_writes_nothing(project, emulator):
    emulator(source("theirs"), source("a"))
    project.define("[assignment_source.a]\n")
    before = sorted(path.name for path in project.directory.iterdir())
    ran = project.run("import", "--all", "--dry-run")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith('# definitions/imported.toml\n[assignment_source.theirs]\nname = "theirs"\n')
    assert ran.out.endswith(
        '# assignment_source.a is defined, and would be imported from "a"\n'
        "Would import 2 sources; nothing was written.\n"
    )
    assert sorted(path.name for path in project.directory.iterdir()) == before


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("elsewhere.toml", "definitions must be in .toml files in definitions/"),
        ("definitions/../x.toml", "definitions must be in .toml files in definitions/"),
        ("definitions/x.json", "definitions must be in .toml files in definitions/"),
        ("definitions/there.toml", "exists already, and an import overwrites nothing"),
    ],
)
def test_a_file_that_can_not_be_written_is_refused_before_anything_is(project, emulator, out, message):
    emulator(source("theirs"))
    project.define("")
    project.write("definitions/there.toml", "# mine\n")
    before = project.files
    ran = project.run("import", "--all", "--out", out)
    assert (ran.code, ran.out) == (1, "")
    assert f"--out {out}: {message}" in ran.err
    assert project.files == before


def test_an_old_removal_is_named_where_it_would_delete_what_is_imported(project, emulator):
    emulator(source("a"))
    for delete, fate in (("true", "DELETES the source"), ("false", "forgets the address")):
        project.write("statform.toml", f"[[removed]]\nfrom = {A!r}\ndelete = {delete}\n")
        advice = f"[[removed]] names {A}: the next apply {fate}, unless you replace that entry by this definition:\n"
        assert advice in project.run("import", A, "a").err
        assert project.run("import", "--all").code == 0
        assert f"{A} " in project.run("plan").out
        project.run("state", "rm", A)


def test_an_import_of_all_takes_no_address_that_a_removal_or_a_move_names(project, emulator):
    emulator(source("a"), source("b"), source("c"))
    project.define(
        f"[[removed]]\nfrom = {A!r}\ndelete = true\n"
        "[[moved]]\nfrom = 'assignment_source.b'\nto = 'assignment_source.b2'\n",
    )
    assert project.run("import", "--all").code == 0
    assert len(project.resources) == 3
    assert project.resources.keys().isdisjoint({A, "assignment_source.b"})
    assert project.run("plan").out == "No changes. The state matches the definitions.\n"


def test_an_import_can_make_a_file_for_each_team(project, emulator):
    emulator(source("a", team="Growth & Co"), source("b", team="Growth & Co"), source("c"))
    project.define("")
    project.write("definitions/growth_co.toml", "# mine\n")
    ran = project.run("import", "--all", "--by", "team")
    assert ran.err == "wrote definitions/imported.toml\nwrote definitions/growth_co-2.toml\n"
    assert ran.out.endswith("`statform plan` now shows no changes.\n")
    assert b"[assignment_source.b]" in project.files["definitions/growth_co-2.toml"]
    for options, why in ((("--out", "definitions/x.toml"), "--out is one file"), (("--env", "x"), "file of the env")):
        assert why in project.run("import", "--all", "--by", "tag", *options).err


@pytest.mark.parametrize("before", ["", "# ours\r\n[statform]", '[statform]\nstate = "s.json"\n'])
def test_what_an_environment_imports_is_its_own(project, emulator, before):
    emulator(source("shared"), source("staging only", sql="SELECT 1\n-- 2"))
    project.define('[assignment_source.a]\nname = "shared"\n')
    path = project.directory / "environments/staging.toml"
    path.parent.mkdir()
    path.write_bytes(before.encode())
    ran = project.run("--env", "staging", "import", "--all")
    assert (ran.code, ran.err) == (0, "wrote environments/staging.toml\n")
    assert ran.out == "Imported 2 sources. `statform --env staging plan` now shows no changes.\n"
    assert path.read_bytes().startswith(before.encode())
    assert "No changes." in project.run("--env", "staging", "plan").out
    assert "definitions/imported.toml" not in project.files
    assert "Valid: 1 definition." in project.run("validate").out


def test_the_file_can_be_named(project, emulator):
    emulator(source("theirs"))
    project.define("")
    assert project.run("import", "--all", "--out", "definitions/team/console.toml").code == 0
    assert b"[assignment_source.theirs]" in project.files["definitions/team/console.toml"]


def test_one_source_is_imported_to_an_address_that_is_defined(project, emulator):
    emulator(source("theirs", description="x"))
    project.define("[assignment_source.a]\nname = 'theirs'\ndescription = 'y'\n")
    ran = project.run("import", A, "theirs")
    assert (ran.code, ran.out, ran.err) == (0, "Imported 1 source. `statform plan` now shows 1 change.\n", "")
    assert project.resources[A]["data"]["description"] == "x"


def test_one_source_that_nothing_defines_is_shown_as_a_definition_or_written(project, emulator):
    emulator(source("one"), source("two"))
    project.define("")
    ran = project.run("import", A, "one")
    assert ran.code == 0
    assert ran.out.startswith('[assignment_source.a]\nname = "one"\n')
    assert ran.err == (
        "Imported 1 source. `statform plan` now shows 1 change.\n"
        "Add this definition, or the next apply forgets the address:\n"
    )
    written = project.run("import", "assignment_source.b", "two", "--out", "definitions/b.toml")
    assert written.err == "wrote definitions/b.toml\n"
    assert "1 to forget" in project.run("plan").out
    project.write("definitions/a.toml", ran.out)
    assert project.run("plan").out == "No changes. The state matches the definitions.\n"


QUERY = "SELECT *\r\nFROM exposures -- ${var.x}\r\n"


def test_an_import_can_give_each_query_a_file_and_a_plan_is_empty(project, emulator):
    emulator(
        source("a", sql=QUERY, team="x"),
        source("A", sql="SELECT 2"),
        source("odd", sql="SELECT 1\x1b"),
    )
    project.define("")
    project.write("definitions/sql/a.sql", "-- mine\n")
    ran = project.run("import", "--all", "--sql-files", "--by", "team", "--dry-run")
    assert "# definitions/sql/a-2.sql\nSELECT *\nFROM exposures -- $${var.x}\n" in ran.out
    assert set(project.files) == {"statform.toml", "definitions/sql/a.sql"}
    ran = project.run("import", "--all", "--sql-files", "--by", "team")
    assert ran.out == "Imported 3 sources. `statform plan` now shows no changes.\n", ran
    files = project.files
    assert files["definitions/sql/a.sql"] == b"-- mine\n"
    assert files["definitions/sql/a-2.sql"] == b"SELECT *\nFROM exposures -- $${var.x}\n\n"
    assert files["definitions/sql/a_2.sql"] == b"SELECT 2\n"
    assert b'sql_file = "sql/a-2.sql"\n' in files["definitions/x.toml"]
    assert b'sql = "SELECT 1\\u001b"' in files["definitions/imported.toml"]
    assert project.run("plan").out == "No changes. The state matches the definitions.\n"


def test_what_an_interrupted_import_left_is_taken_and_what_is_named_is_not(project, emulator):
    emulator(source("a", sql="SELECT 1"), source("b", sql="SELECT 1"))
    project.define('[assignment_source.c]\nsql_file = "definitions/sql/b.sql"\nadopt = true\n')
    project.write("definitions/sql/a.sql", "SELECT 1\n")
    project.write("definitions/sql/b.sql", "SELECT 1\n")
    ran = project.run("import", "--all", "--sql-files")
    assert ran.err == "wrote definitions/sql/b-2.sql\nwrote definitions/imported.toml\n"
    assert b'sql_file = "sql/a.sql"' in project.files["definitions/imported.toml"]


def test_the_queries_of_an_environment_stand_in_a_folder_of_its_name(project, emulator):
    emulator(source("a", sql="SELECT 1"))
    project.define("")
    project.write("environments/staging.toml", "# ours\n")
    ran = project.run("--env", "staging", "import", "--all", "--sql-files")
    assert ran.out == "Imported 1 source. `statform --env staging plan` now shows no changes.\n"
    assert project.files["environments/staging/a.sql"] == b"SELECT 1\n"
    assert b'sql_file = "staging/a.sql"\n' in project.files["environments/staging.toml"]


def test_a_query_of_one_source_gets_a_file_beside_the_definition(project, emulator):
    emulator(source("one", sql="SELECT 1"))
    project.define("")
    ran = project.run("import", A, "one", "--sql-files")
    assert (ran.code, "--sql-files needs --all or --out." in ran.err) == (1, True)
    ran = project.run("import", A, "one", "--sql-files", "--out", "definitions/growth/a.toml")
    assert ran.out == "Imported 1 source. `statform plan` now shows no changes.\n"
    assert project.files["definitions/growth/sql/a.sql"] == b"SELECT 1\n"


def test_queries_are_not_written_out_of_the_project(project, emulator, tmp_path):
    emulator(source("one", sql="SELECT 1"))
    project.define("")
    project.write("environments/staging.toml", "")
    (project.directory / "environments/staging").symlink_to(tmp_path)
    ran = project.run("--env", "staging", "import", "--all", "--sql-files")
    assert (ran.code, "is a link that leads out of the project" in ran.err) == (1, True)
    assert not (tmp_path / "one.sql").exists()


@pytest.mark.parametrize(("status", "lists"), [(401, 1), (403, 4)])
def test_with_a_key_that_may_list_nothing_nothing_is_imported(project, status, lists):
    project.define("")
    before = project.files
    with rawserver.serve() as server:
        server.lists = [rawserver.Act(answer=rawserver.answer(status, {"message": "No."}))] * 9
        ran = project.run("import", "--all", STATSIG_BASE_URL=server.url)
    assert (ran.code, len(server.log)) == (3, lists)
    assert f" answered {status}: No.\n" in ran.err
    assert project.files == before


def test_one_source_that_can_t_be_declared_whole_is_shown_with_a_warning(project):
    with serve({"assignment_source": {"one": source("one", tags=["x", "x"])}}) as api:
        project.define("")
        ran = project.run("import", A, "one", STATSIG_BASE_URL=api.url)
    assert ran.err.startswith("Warning: assignment_source.a: tags is left out: a string that is listed twice\n")
    assert "tags" not in ran.out


def test_what_was_imported_alone_is_defined_by_an_import_of_all(project, emulator):
    emulator(source("one"), source("two"))
    project.define("")
    project.run("import", A, "one")
    assert project.run("import", "--all").out == "Imported 2 sources. `statform plan` now shows no changes.\n"
    assert [record["address"] for record in project.records if record["kind"] == "import"] == [
        A,
        "assignment_source.two",
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([A, "thiers"], 'the remote has no assignment_source named "thiers"; did you mean "theirs"?; nothing was'),
        (["assignment_sourc.a", "theirs"], '"assignment_sourc.a" is not an address'),
        (["assignment_source.a b", "theirs"], '"assignment_source.a b" is not an address'),
        (["assignment_source.there", "theirs"], "the state already has assignment_source.there, as \"here\""),
        ([A, "defined"], 'assignment_source.there2 is defined with the name "defined": import it to that address'),
        ([A, "here"], 'the state already has "here", at assignment_source.there'),
        ([A], "Give an ADDRESS and a NAME, or --all."),
        ([], "Give an ADDRESS and a NAME, or --all."),
        ([A, "theirs", "--all"], "Give an ADDRESS and a NAME, or --all."),
        ([A, "theirs", "--match", "x"], "--match, --type, --by and --dry-run need --all."),
        ([A, "theirs", "--type", "metric_source"], "--match, --type, --by and --dry-run need --all."),
    ],
)  # fmt: skip
def test_what_can_not_be_imported_is_an_error_that_says_why(project, emulator, arguments, message):
    emulator(source("theirs"), source("here"), source("defined"))
    project.define("[assignment_source.there]\nname = 'here'\n[assignment_source.there2]\nname = 'defined'\n")
    project.run("import", "assignment_source.there", "here")
    before = project.files
    ran = project.run("import", *arguments)
    assert (ran.code, ran.out) == (1, "")
    assert message in ran.err
    assert project.files == before


def test_an_interrupted_import_is_completed_by_the_next(project, emulator):
    emulator(source("theirs"))
    project.define("")
    dry = project.run("import", "--all", "--dry-run").out
    project.write("definitions/imported.toml", dry.partition("\n")[2].partition("\n\n")[0] + "\n")
    ran = project.run("import", "--all")
    assert (ran.out, ran.err) == ("Imported 1 source. `statform plan` now shows no changes.\n", "")


def test_at_a_terminal_the_list_is_counted_and_the_count_goes_away(project, emulator):
    emulator(*(source(f"s{n}") for n in range(250)))
    project.define("")
    command = [str(STATFORM), "import", "--all"]
    with at_terminal(command, project.directory, project.environ | {"TERM": "xterm"}) as terminal:
        assert terminal.end() == 0
    assert "listing the remote … 200" in terminal.shown
    assert terminal.shown.endswith(
        "\r\x1b[Kwrote definitions/imported.toml\nImported 250 sources. `statform plan` now shows no changes.\n"
    )


def test_names_that_a_terminal_would_act_on_are_shown_escaped(project, emulator):
    emulator(source(".\x1b[2J"), source("."))
    project.define("")
    ran = project.run("import", "--all")
    assert ran.err.startswith('Warning: assignment_source "." is left out: a name that can\'t be in a URL, so')
    assert "\x1b" not in ran.out + ran.err + project.files["definitions/imported.toml"].decode()


def interrupted(project, signals):
    """An import of all, in which so many signals come just after the definitions were written."""
    program = (
        "import os, signal, sys\n"
        "link = os.link\n"
        "def interrupt(*arguments):\n"
        "    link(*arguments)\n"
        f"    for _ in range({signals}):\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n"
        "os.link = interrupt\n"
        "from planner.cli.main import run\n"
        "sys.exit(run(['import', '--all']))\n"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(
        command, cwd=project.directory, env=project.environ, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (130, "")
    assert "Interrupted: what is under way is finished first. Press Ctrl-C again to stop now." in done.stderr


def test_a_signal_lets_what_is_being_written_end(project, emulator):
    emulator(source("one"), source("two"))
    project.define("")
    interrupted(project, 1)
    assert project.records[-1]["status"] == "ok"
    assert project.run("plan").out == "No changes. The state matches the definitions.\n"


def test_a_second_signal_between_definitions_and_state_leaves_what_the_next_import_completes(project, emulator):
    emulator(source("one"), source("the second"))
    project.define("")
    interrupted(project, 2)
    assert set(project.files) == {"statform.toml", "definitions/imported.toml"}
    assert project.run("import", "--all").out == "Imported 2 sources. `statform plan` now shows no changes.\n"
    assert set(project.files) >= {"definitions/imported.toml", "statform.state.json"}
    assert "definitions/imported-2.toml" not in project.files


@pytest.mark.long
def test_a_definition_that_somebody_adds_meanwhile_is_not_doubled(project, emulator):
    emulator(source("one"), options=("--latency", "1500"))
    project.define("")
    command = [str(STATFORM), "import", "--all"]
    process = subprocess.Popen(
        command, cwd=project.directory, env=project.environ, stderr=subprocess.PIPE, encoding="utf-8"
    )
    end = time.monotonic() + 20
    while not (project.directory / "statform.state.lock").exists():
        assert time.monotonic() < end
        time.sleep(0.01)
    project.write("definitions/b.toml", "[assignment_source.one]\n")
    _, err = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "assignment_source.one is defined in definitions/b.toml already" in err
    assert set(project.files) == {"statform.toml", "definitions/b.toml"}


def test_a_link_of_an_older_version_s_temporary_name_is_in_nobody_s_way_and_followed_nowhere(
    project, emulator, tmp_path
):
    emulator(source("one"))
    project.define("")
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (project.directory / "definitions").mkdir()
    (project.directory / "definitions" / ".imported.toml.tmp").symlink_to(victim)
    assert project.run("import", "--all").code == 0
    assert victim.read_text() == "mine"
    there = sorted(path.name for path in (project.directory / "definitions").iterdir())
    assert there == [".imported.toml.tmp", "imported.toml"]


def test_a_folder_that_can_not_be_written_is_named_and_nothing_is_imported(project, emulator):
    emulator(source("a"))
    project.define("")
    project.write("definitions/of_somebody.toml", "")
    (project.directory / "definitions").chmod(0o555)
    ran = project.run("import", "--all", under=without_rights())
    (project.directory / "definitions").chmod(0o755)
    assert (ran.code, ran.err) == (1, "Error: definitions/imported.toml: Permission denied\n")
    assert sorted(project.files) == ["definitions/of_somebody.toml", "statform.toml"]
