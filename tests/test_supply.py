"""What statform brings along: bounded, and never called harmless when nobody could be asked."""

from __future__ import annotations

import json
import re
from importlib.metadata import requires
from pathlib import Path

import pytest
from audit_deps import check, judge

BY_THE_YEAR = {"attrs", "htpy"}
FINE = {"name": "click", "version": "8.1.7", "vulns": []}
KNOWN = {"name": "h11", "version": "0.1", "vulns": [{"id": "PYSEC-1", "fix_versions": ["0.16.0"]}]}
UNKNOWN = {"name": "tomli", "skip_reason": "Dependency not found on PyPI and could not be audited: tomli (2.5.0)"}
OURS = {"name": "statform", "skip_reason": "Dependency not found on PyPI"}


def test_every_dependency_of_an_installation_is_bounded():
    needed = [
        one
        for one in requires("statform") or ()
        if "extra ==" not in one or re.search("'(emulator|s3|gcs|azure|postgres)'", one.replace('"', "'"))
    ]
    names = {re.match(r"[\w-]+", one)[0] for one in needed}
    assert len(names) == 11
    for one in needed:
        assert ">=" in one, one
        assert ("<" in one.partition(";")[0]) != (re.match(r"[\w-]+", one)[0] in BY_THE_YEAR), one


@pytest.mark.parametrize(
    ("packages", "code", "last"),
    [
        ([FINE, OURS], 0, "1 of 1 packages were checked; 0 known vulnerabilities."),
        ([FINE, UNKNOWN], 2, "1 of 2 packages were checked; 0 known vulnerabilities."),
        ([UNKNOWN, KNOWN], 1, "1 of 2 packages were checked; 1 known vulnerabilities."),
        ([FINE, KNOWN], 1, "2 of 2 packages were checked; 1 known vulnerabilities."),
        ([OURS], 2, "0 of 0 packages were checked; 0 known vulnerabilities."),
        ([], 2, "0 of 0 packages were checked; 0 known vulnerabilities."),
    ],
)
def test_only_what_was_checked_is_called_checked(packages, code, last):
    found, lines = judge({"dependencies": packages})
    assert (found, lines[-1]) == (code, last)
    assert ("NOT CHECKED" in "".join(lines)) == (UNKNOWN in packages)
    assert ("h11 0.1: PYSEC-1, mended in 0.16.0" in lines) == (KNOWN in packages)


@pytest.mark.parametrize(
    ("out", "err", "status"),
    [
        ("", "Traceback …\nConnectionError: no route", 1),
        ("", "", 0),
        ("null", "x", 0),
        ("{}", "x", 0),
        ("<html>", "x", 1),
    ],
)
def test_a_service_that_can_not_be_asked_is_no_clean_bill(tmp_path: Path, out: str, err: str, status: int):
    tool = tmp_path / "pip-audit"
    tool.write_text(f"#!/bin/sh\ncat <<'E'\n{out}\nE\ncat >&2 <<'E'\n{err}\nE\nexit {status}\n")
    tool.chmod(0o755)
    code, (line,) = check(tmp_path, tmp_path)
    assert code == 2
    assert line.startswith(f"NOT CHECKED: pip-audit could not ask its service, and ended with {status}: ")
    assert line.endswith((err or "it said nothing").splitlines()[-1])


def test_what_pip_audit_found_is_believed(tmp_path: Path):
    tool = tmp_path / "pip-audit"
    tool.write_text(f"#!/bin/sh\necho '{json.dumps({'dependencies': [FINE]})}'\n")
    tool.chmod(0o755)
    assert check(tmp_path, tmp_path)[0] == 0
