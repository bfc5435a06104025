"""`statform apply` against a server that this project did not write: a mock of the published schema, by Connexion."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import pytest
import yaml
from canary import KEY

TESTS = Path(__file__).parents[1]
SPECIFICATION = yaml.safe_load((TESTS / "cli" / "console-api.yaml").read_text())
PATCH = SPECIFICATION["paths"]["/console/v1/experiments/assignment_source/{name}"]["patch"]
PUBLISHED = PATCH["responses"]["200"]["content"]["application/json"]["example"]["data"]
PROPERTIES = PATCH["requestBody"]["content"]["application/json"]["schema"]["properties"]
AS_PUBLISHED = """
[assignment_source.exposures]
adopt = true
name = "exposures3"
description = "qweqwe"
tags = []
sql = "SELECT * FROM shoppy-sales.experiment_data.exposures"
timestampColumn = "ts"
groupIDColumn = "group_id"
experimentIDColumn = "experiment_name"
idTypeMapping = [{ statsigUnitID = "stableID", column = "user_id" }]
"""
EVERYTHING = """
[assignment_source.exposures3]
adopt = true
description = "qweqwe"
isVerified = true
tags = []
timestampColumn = "ts"
experimentIDColumn = "experiment_name"
groupIDColumn = "group_id"
groupNameColumn = "group_name"
idTypeMapping = [{ statsigUnitID = "stableID", column = "user_id" }]
isReadOnly = false
owner = { ownerID = "user123", ownerType = "USER", ownerName = "Ana", ownerEmail = "ana@example.com" }
team = "Growth"
teamID = "team1"
scheduledReloadHour = 23
"""


@pytest.fixture(scope="module")
def url():
    command = [sys.executable, "-m", "uvicorn", "--app-dir", str(TESTS / "support"), "--port", "0", "console_mock:app"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        lines = []
        for line in process.stderr:
            lines.append(line)
            if found := re.search(r"http://127\.0\.0\.1:\d+", line):
                break
        else:
            pytest.fail("".join(lines))
        # Else it would wait in the end for somebody to read what it logs.
        threading.Thread(target=process.stderr.read, daemon=True).start()
        yield found[0]
        process.terminate()


@pytest.fixture
def project_there(project, url):
    project.environ["STATSIG_BASE_URL"] = url
    return project


def intents(project):
    return [record for record in project.records if record["kind"] == "intent"]


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        ({"sql": "SELECT 1"}, {}),
        ({"unknown": 1}, {}),
        ({"tags": "a"}, {}),
        ({"description": None}, {}),
        ({"idTypeMapping": [{"column": "a"}]}, {}),
        ({"scheduledReloadHour": 24}, {}),
        ({}, {"STATSIG-API-VERSION": ""}),
        ({}, {"STATSIG-API-VERSION": "20200101"}),
        ({}, {"STATSIG-API-KEY": "secret"}),
    ],
)
def test_the_mock_refuses_what_the_published_schema_does_not_allow(url, body, headers):
    path = "/console/v1/experiments/assignment_source/exposures3"
    right = {"STATSIG-API-KEY": KEY, "STATSIG-API-VERSION": "20240601"}
    assert httpx.patch(url + path, json={}, headers=right).status_code == 200
    assert httpx.patch(url + path, json=body, headers=right | headers).status_code == 400


def test_an_answer_of_the_published_example_becomes_the_state_word_for_word(project_there):
    project = project_there
    project.define(AS_PUBLISHED, settings="respect_review_settings = true")
    ran = project.apply()
    assert ran.out.endswith("Apply complete: 1 adopted.\n")
    state = project.resources["assignment_source.exposures"]
    assert (state["name"], state["data"], state["unreturned"]) == ("exposures3", PUBLISHED, {})
    assert project.run("plan", "--detailed-exitcode").code == 0


def test_every_field_is_sent_as_the_published_schema_takes_it(project_there):
    project = project_there
    project.define(EVERYTHING)
    project.apply()
    (sent,) = (intent["sent"] for intent in intents(project))
    # What the list, which has another description than the answer, shows to be so already is not sent.
    assert sent.keys() == PROPERTIES.keys() - {"name", "dryRun"} - (PUBLISHED.keys() - {"description"})
    state = project.resources["assignment_source.exposures3"]
    assert state["data"] == PUBLISHED
    assert state["unreturned"] == {name: value for name, value in sent.items() if name not in PUBLISHED}
    assert project.run("plan", "--detailed-exitcode").code == 0
    others = EVERYTHING.replace('"qweqwe"', '"other"').replace("tags = []", 'tags = ["other"]')
    for column in ("ts", "experiment_name", "group_id", "user_id"):
        others = others.replace(f'"{column}"', '"other"')
    project.define(others)
    # The mock's list is not as its answer was, which is taken for late for a minute.
    project.age()
    project.run("apply", "--auto-approve", "--no-check-drift")
    assert sent.keys() | intents(project)[-1]["sent"].keys() == PROPERTIES.keys() - {"name", "dryRun"}


def test_nulls_and_a_rename_are_sent_as_the_published_schema_takes_them(project_there):
    project = project_there
    project.define(EVERYTHING)
    project.apply()
    project.age()
    nullable = '["owner", "team", "teamID", "scheduledReloadHour"]'
    project.define(f'[assignment_source.exposures3]\nadopt = true\nname = "exposures4"\nclear = {nullable}\n')
    ran = project.run("apply", "--auto-approve")
    assert intents(project)[-1]["sent"] == {
        "name": "exposures4",
        **dict.fromkeys(("owner", "team", "teamID", "scheduledReloadHour")),
    }
    assert [record["status"] for record in project.records if record["kind"] == "result"] == [200, 200]
    # The mock answers with the same example whatever it gets, so that the rename is seen to have been ignored.
    assert ran.code == 1
    assert "not accepted   assignment_source.exposures3: the API kept another value of name" in ran.out
    assert project.resources["assignment_source.exposures3"]["data"] == PUBLISHED


def test_a_dry_run_is_sent_as_the_published_schema_takes_it(project_there):
    project = project_there
    project.define(EVERYTHING, settings="respect_review_settings = true")
    ran = project.run("apply", "--dry-run")
    assert ran.code == 0, ran
    assert "Dry run complete: 1 to adopt" in ran.out
    assert list(project.files) == ["statform.toml"]
