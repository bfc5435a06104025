"""Definition files that would cost a parser seconds or gigabytes, or that are no files: refused, and at little cost."""

from __future__ import annotations

from collections.abc import Callable

import pytest

MIB = 1 << 20
DEFINED = "[assignment_source.a]\nadopt = true\n"
BIG, MANY = "can't be read: more than 4 MiB in one file", 300_000
# What stands in definitions/x.toml -> what the one error says, and in which line.
TEXTS: dict[str, tuple[Callable[[], str], str, int]] = {
    "a key of 20,000 parts": (lambda: ".".join(["a"] * 20_000) + " = 1", "a key of more than 32 parts", 1),
    "a header of 20,000 parts": (lambda: "\n[" + ".".join(["a"] * 20_000) + "]", "a key of more than 32 parts", 2),
    "quoted parts": (lambda: 'a = { b = 1, "c" . ' + ".".join(["'d'"] * 40) + " = 1 }", "more than 32 parts", 1),
    "300,000 keys": (lambda: "\n".join(f"k{n}=1" for n in range(MANY)), 'more than 250,000 "=" in one file', 250_001),
    "300,000 tables": (lambda: "\n".join(f"[k{n}]" for n in range(MANY)), 'more than 50,000 "[" in one file', 50_001),
    "a million keys": (lambda: "\n".join(f"key_{n} = 1" for n in range(1_000_000)), BIG, 1),
    "500,000 inline tables": (lambda: "a = [" + "{}," * 500_000 + "]", 'more than 100,000 "{" in one file', 1),
    "a million elements": (lambda: "a = [" + "1," * 1_000_000 + "]", 'more than 500,000 "," in one file', 1),
    "4 MiB and a byte": (lambda: "#" * (4 * MIB + 1), BIG, 1),
    "100 MB": (lambda: "#x\n" * 33_000_000, BIG, 1),
    "an integer of a million digits": (lambda: "\na = " + "1" * 1_000_000, "an integer of too many digits", 2),
    "10,000 lists in each other": (lambda: "a = " + "[" * 10_000 + "]" * 10_000, "nested too deeply", 1),
    "lists in each other after much else": (
        lambda: 'a = ["x"' + ', "x"' * 100_000 + "]\nb = " + "[" * 10_000,
        "nested too deeply",
        2,
    ),
    "an integer of 5,000 digits after much else": (
        lambda: 'a = ["x"' + ', "x"' * 100_000 + "]\nb = [\n  " + "1" * 5_000 + "]",
        "an integer of too many digits",
        3,
    ),
    "4 MB of dots in quotes": (lambda: 'a = ["' + "." * 4_000_000 + '"]', 'unknown type "a"', 1),
    "2 MB of escapes in quotes": (lambda: 'a = ["' + "\\\\" * 1_000_000, "not TOML", 1),
    "NUL bytes": (lambda: "\0" * MIB, "not TOML: invalid statement", 1),
    "UTF-16": (lambda: "\x00[\x00a\x00]", "not TOML", 1),
}


@pytest.mark.parametrize("case", TEXTS.values(), ids=TEXTS)
def test_it_is_one_located_error_for_two_seconds_and_64_mib_at_most(project, case):
    make, message, line = case
    project.define(DEFINED)
    size = project.write("definitions/x.toml", make()).stat().st_size
    ran = validate(project, size)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.count("Error: ") == 1
    assert message in ran.err
    assert f"definitions/x.toml:{line}:" in ran.err


def validate(project, size: int):
    """Under limits that the system keeps: processor time; memory beyond `size` bytes, the interpreter's included."""
    return project.shell(f"ulimit -t 2 -d {(64 * MIB + size) // 1024}; statform validate")


def test_the_limits_of_these_tests_hold(project):
    project.define(DEFINED)
    assert validate(project, 0).code == 0
    assert project.shell("ulimit -d 8192; statform validate").code != 0


def test_every_problem_is_told_up_to_500(project):
    project.define(DEFINED)
    project.write(
        "definitions/x.toml", "[assignment_source.x]\nadopt = true\n" + "\n".join(f"k{n} = 1" for n in range(50_000))
    )
    ran = project.run("validate", timeout=20)
    assert ran.err.count("Error: ") == 500
    assert ran.err.endswith("\n500 errors, and more that are not shown.\n")


# What is right comes first, so that each problem is far from the start; how many errors there are.
FAR: dict[str, tuple[Callable[[], str], int]] = {
    "strings, then numbers": (
        lambda: (
            "[assignment_source.a]\nadopt = true\ntags = ["
            + ", ".join(f'"{n}"' for n in range(50_000))
            + ", 1" * 100
            + "]"
        ),
        100,
    ),
    "tables, then halves": (
        lambda: (
            "[assignment_source.a]\nadopt = true\nidTypeMapping = ["
            + "".join(f'{{ statsigUnitID = "{n}", column = "c" }}, ' for n in range(20_000))
            + '{ column = "c" }, ' * 100
            + "]"
        ),
        100,
    ),
    "definitions in one line": (
        lambda: (
            "assignment_source = { "
            + ", ".join(f"a{n} = {{}}" for n in range(20_000))
            + "".join(f", b{n} = {{ x = 1 }}" for n in range(400))
            + " }"
        ),
        400,
    ),
    "long words that nothing is near": (
        lambda: (
            "[assignment_source.a]\nadopt = true\ndepends_on = ["
            + ", ".join(f'"{n}{"x" * 4_000}"' for n in range(400))
            + "]"
        ),
        400,
    ),
    "many words that all are near": (
        lambda: (
            "".join(f"[assignment_source.{'x' * 80}{n}]\nadopt = true\n" for n in range(10_000))
            + "depends_on = ["
            + ", ".join(f'"assignment_source.{"x" * 80}_{n}"' for n in range(20))
            + "]"
        ),
        20,
    ),
    "a mark behind what takes no room": (
        lambda: '[assignment_source.a]\nadopt = true\ntags = ["' + "\u0301" * 300_000 + '", 1]',
        1,
    ),
}


@pytest.mark.parametrize(("make", "count"), FAR.values(), ids=FAR)
def test_what_is_wrong_behind_much_that_is_right_takes_no_longer(project, make, count):
    project.define("")
    size = project.write("definitions/x.toml", make()).stat().st_size
    ran = validate(project, size)
    assert (ran.code, ran.err.count("Error: ")) == (1, count)


def test_addresses_that_only_an_environment_has_take_no_longer_where_there_are_many(project):
    project.define("".join(f"[assignment_source.{'x' * 80}{n}]\nadopt = true\n" for n in range(10_000)))
    project.write(
        "environments/e.toml", "".join(f"[assignment_source.{'x' * 80}_{n}]\nadopt = true\n" for n in range(20))
    )
    ran = project.shell(f"ulimit -t 2 -d {65 * 1024}; statform validate --env e")
    assert (ran.code, ran.err.count("Error: ")) == (1, 20)


@pytest.mark.parametrize("text", ['"x = {}"', '"""\nx = {}"""', "'x = {}'", "'''\n[{}]'''", '"x" # = {}'])
def test_digits_and_dots_in_quotes_and_in_comments_are_no_number_and_no_key(project, text):
    for content in ("1" * 5000, "a" + ".a" * 40):
        project.define(f"[assignment_source.a]\nadopt = true\nsql = {text.format(content)}\n")
        assert project.run("validate").code == 0


def test_files_are_read_up_to_256_mib_in_all(project):
    project.define(DEFINED)
    for number in range(70):
        path = project.write(f"definitions/x{number:02}.toml", "")
        with path.open("ab") as file:
            file.truncate(4 * MIB)
    ran = project.shell(f"ulimit -d {400 * 1024}; statform validate")
    assert ran.code == 1
    assert "can't be read: more than 256 MiB in all files" in ran.err
    # Only NULs still: the search for the key would take seconds over them.
    for path in (project.directory / "definitions").iterdir():
        assert path.read_bytes() == bytes(4 * MIB)
        path.unlink()


def test_definitions_elsewhere_are_not_followed(project, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside")
    (outside / "secret.toml").write_text("password = 'x'\n")
    project.define(DEFINED)
    (project.directory / "definitions").symlink_to(outside)
    ran = project.run("validate")
    assert ran.code == 1
    assert "can't be read: a link that leads out of the project" in ran.err
    assert "password" not in ran.err


def test_a_loop_of_links_is_an_error(project):
    project.define(DEFINED)
    folder = project.directory / "definitions"
    folder.mkdir()
    (folder / "a.toml").symlink_to("b.toml")
    (folder / "b.toml").symlink_to("a.toml")
    (folder / "again").symlink_to(".")
    ran = project.run("validate", timeout=10)
    assert ran.code == 1
    assert ran.err.count("Error: can't be read: ") == 2
