"""What a shell completes, asked as bash asks."""

from __future__ import annotations

import pytest
from command import STATFORM, source

TWO = "[assignment_source.checkout]\n[assignment_source.search]\n"


def complete(project, *words: str):
    """What bash offers for the last of the words that follow `statform`."""
    line = " ".join(["statform", *(word or "''" for word in words)])
    ran = project.shell(f"""
        PATH={STATFORM.parent}:$PATH
        eval "$(statform completion bash)"
        COMP_WORDS=({line}); COMP_CWORD={len(words)}
        _statform_completion statform
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """)
    assert (ran.code, ran.err) == (0, "")
    return ran.out.split()


def test_addresses_come_from_the_definitions_and_the_state(project, emulator):
    emulator()
    project.define(TWO)
    assert complete(project, "plan", "--target", "assignment_source.s") == ["assignment_source.search"]
    project.define("[assignment_source.checkout]\n")
    assert complete(project, "plan", "--target", "") == ["assignment_source.checkout"]
    assert complete(project, "-C", "/", "plan", "--target", "") == []


@pytest.mark.parametrize("settings", ["", 'state = "other.json"', "state = 1", 'state = "\\u0000"'])
def test_files_that_are_not_valid_yet_are_no_hindrance(project, settings):
    project.define(TWO, settings)
    project.write("definitions/a.toml", "[assignment_source.a]\nnot yet")
    project.write("definitions/b.toml", "assignment_source = 1")
    project.write("statform.state.json", "{")
    assert complete(project, "plan", "--target", "assign") == ["assignment_source.checkout", "assignment_source.search"]


def test_what_a_shell_would_run_is_never_offered(project, emulator):
    project.define('[assignment_source."x$(touch${IFS}PWNED)"]\n[assignment_source.search]\n')
    assert complete(project, "plan", "--target", "assign") == ["assignment_source.search"]


def test_a_state_outside_of_the_project_is_not_looked_into(project, emulator, tmp_path):
    emulator(source("checkout"))
    project.define("[assignment_source.checkout]\nadopt = true\n")
    project.apply()
    inner = project.directory / "inner"
    project.write("inner/statform.toml", '[statform]\nstate = "../statform.state.json"\n')
    assert complete(project, "-C", str(inner), "plan", "--target", "") == []


def test_commands_and_options_are_completed(project):
    assert complete(project, "emu") == ["emulator"]
    assert complete(project, "plan", "--det") == ["--detailed-exitcode"]
    assert complete(project, "import", "--type", "e") == ["entity_property"]
    assert complete(project, "history", "--field", "ti") == ["timestampAsDay", "timestampColumn"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_shell_has_its_script(project, shell):
    ran = project.run("completion", shell)
    assert (ran.code, ran.err) == (0, "")
    assert f"_STATFORM_COMPLETE={shell}_complete" in ran.out
