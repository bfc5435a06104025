"""What a change touches: the experiments that read a source, told where the change is shown."""

from __future__ import annotations

import json

import pytest
from command import source
from lossy import serve

from planner.audit.experiments import Change, Reader, Touched
from planner.definitions.resources import ASSIGNMENT_SOURCE
from planner.emulator.data import sources_for
from planner.plan.diff import FieldChange
from planner.render.style import Style
from planner.render.touched import render_touched

A = "assignment_source.a"
SQL = "SELECT user_id, ts, experiment, country FROM exposures"
UNITS = [{"statsigUnitID": "userID", "column": "user_id"}, {"statsigUnitID": "stableID", "column": "stable_id"}]
READERS = [
    {
        "id": "1",
        "name": "cta",
        "status": "active",
        "assignmentSourceName": "a",
        "idType": "stableID",
        "assignmentSourceFilters": [{"column": "country", "condition": "is", "values": ["NZ"]}],
    },
    {"id": "2", "name": "old", "status": "archived", "assignmentSourceName": "a", "idType": "userID"},
    {"id": "3", "name": "other", "status": "active", "assignmentSourceName": "b", "idType": "stableID"},
]


@pytest.fixture
def api(project):
    with serve(sources_for([])) as api:
        project.environ["STATSIG_BASE_URL"] = api.url
        project.write("statform.toml", "")
        yield api


@pytest.fixture
def changed(project, api):
    """A source of whose two units the definition has one; `experiments` are those that there are."""

    def make(experiments):
        api.project.sources["assignment_source"]["a"] = source("a", sql=SQL, idTypeMapping=UNITS)
        api.project.experiments[:] = experiments
        project.write("definitions/a.toml", '[assignment_source.a]\nname = "a"\n')
        assert project.run("import", A, "a").code == 0
        unit = '{ statsigUnitID = "userID", column = "user_id" }'
        project.write("definitions/a.toml", f'[assignment_source.a]\nname = "a"\nidTypeMapping = [{unit}]\n')

    return make


def test_a_plan_names_the_experiments_that_read_what_it_changes_and_what_they_lose(project, changed):
    changed(READERS)
    ran = project.run("plan", "--refresh")
    assert ran.code == 0
    assert "read by 2 experiments, 1 of them active: cta (active), old (archived); a full reload is needed" in ran.out
    assert "    cta loses its idType stableID\n" in ran.out
    assert "other" not in ran.out
    found = json.loads(project.run("plan", "--refresh", "--json").out)["statform"]["touched"]
    assert found == [
        {
            "address": A,
            "name": "a",
            "experiments": [
                {"name": "cta", "status": "active", "loses": ["its idType stableID"]},
                {"name": "old", "status": "archived", "loses": []},
            ],
            "metrics": [],
            "listed": 3,
            "unknown": None,
        }
    ]
    comment = project.run("plan", "--refresh", "--markdown").out
    assert "read by 2 experiments" in comment
    assert "  - `cta` loses `its idType stableID`\n" in comment
    assert "read by" not in project.run("plan", "--refresh", "--no-check-experiments").out
    assert "read by" not in project.run("plan").out


def test_none_is_said_only_after_a_list_and_unknown_otherwise(project, changed):
    changed([])
    assert "read by none of the 0 experiments listed" in project.run("plan", "--refresh").out
    changed_key = project.run("plan", "--refresh", STATSIG_API_KEY="console-no-experiments")
    assert "it is unknown what reads it: " in changed_key.out
    assert "403" in changed_key.out


def test_a_list_that_does_not_tell_what_they_read_is_unknown(project, changed):
    changed([{"id": "1", "name": "sdk", "status": "active"}])
    assert (
        "it is unknown what reads it: the list of experiments does not say what they read"
        in project.run("plan", "--refresh").out
    )


def test_an_audit_names_the_experiments_that_read_what_somebody_changed(project, api, changed):
    changed(READERS)
    api.project.sources["assignment_source"]["a"]["sql"] = SQL.replace(", country", "")
    ran = project.run("audit", "--html", "page.html")
    assert "read by 2 experiments, 1 of them active" in ran.out
    assert "cta loses its filter by country" in ran.out
    assert b"cta loses its filter by country" in project.files["page.html"]
    assert "`cta` loses `its filter by country`" in project.run("audit", "--markdown").out
    (one,) = json.loads(project.run("audit", "--json").out)["touched"]
    assert one["experiments"][0]["loses"] == ["its filter by country"]


def test_the_experiments_are_listed_once_a_run_in_pages(project, api, changed):
    changed([{**READERS[0], "id": str(n), "name": f"e{n}"} for n in range(300)])
    api.project.sources["entity_property"]["p"] = {"name": "p", "sql": "SELECT 1", "idTypeMapping": UNITS}
    assert project.run("import", "--all", "--type", "entity_property").code == 0
    api.project.sources["entity_property"]["p"]["idTypeMapping"] = UNITS[:1]
    api.calls.clear()
    ran = project.run("plan", "--refresh")
    assert "read by 300 experiments, 300 of them active: e0 (active), " in ran.out
    assert "and 290 more; a full reload" in ran.out
    assert len([call for call in api.calls if call == "GET /console/v1/experiments"]) == 3


def test_a_server_without_a_choice_of_fields_is_asked_without(project, api, changed, monkeypatch):
    changed(READERS)
    monkeypatch.setattr("planner.emulator.api._EXPERIMENT_FIELDS", ())
    api.project.experiments[:] = READERS[1:]
    ran = project.run("plan", "--refresh")
    assert "read by 1 experiment: old (archived)" in ran.out


def test_a_unit_that_the_project_has_not_is_a_warning_with_the_nearest(project, api, changed):
    changed([])
    api.project.others["unit_id_types"] = [{"name": "userId"}, {"name": "stableID"}]
    warning = f'Warning: {A}: the project has no unit ID "userID"; did you mean "userId"?\n'
    assert warning in project.run("plan", "--refresh").err
    api.project.others["unit_id_types"].append({"name": "userID"})
    assert "unit ID" not in project.run("plan", "--refresh").err
    del api.project.others["unit_id_types"]
    assert project.run("plan", "--refresh").err == ""


def test_an_audit_names_the_metrics_that_are_made_of_what_somebody_changed(project, api):
    one = {"name": "m", "sql": "SELECT 1", "timestampColumn": "ts", "idTypeMapping": UNITS}
    api.project.sources["metric_source"]["m"] = one
    api.project.others["metrics"] = [{"id": "1", "name": "revenue", "metricSourceName": "m"}]
    assert project.run("import", "--all").code == 0
    api.project.sources["metric_source"]["m"] = {**one, "timestampColumn": "at"}
    ran = project.run("audit")
    assert (ran.code, "metric_source.m: 1 metric made from it: revenue" in ran.out) == (2, True)


def test_an_apply_tells_who_reads_what_it_changes_before_it_asks(project, changed):
    changed(READERS)
    ran = project.run("apply")
    assert ran.code == 1
    assert "read by 2 experiments, 1 of them active" in ran.out
    ran = project.run("apply", "--auto-approve", "--no-check-experiments")
    assert (ran.code, "read by" in ran.out) == (0, False)


def test_an_apply_tells_tools_who_reads_what_it_changes(project, changed):
    changed(READERS)
    events = [json.loads(line) for line in project.run("apply", "--auto-approve", "--json").out.splitlines()]
    (one,) = [event["statform"]["touched"] for event in events if event["type"] == "log" and "statform" in event]
    assert one[0]["experiments"][0] == {"name": "cta", "status": "active", "loses": ["its idType stableID"]}


def test_experiments_that_go_on_come_first_and_a_source_that_goes_needs_no_reload(project, api, changed):
    archived = READERS[1]
    changed([{**archived, "id": f"o{n}", "name": f"old{n}"} for n in range(12)] + [READERS[0]])
    told = "read by 13 experiments, 1 of them active: cta (active), old0 (archived), "
    assert told in project.run("plan", "--refresh").out
    api.project.experiments[:] = [archived]
    ran = project.run("plan", "--refresh")
    assert "read by 1 experiment: old (archived)\n" in ran.out
    project.write("definitions/a.toml", "")
    project.write("statform.toml", f'[[removed]]\nfrom = "{A}"\ndelete = true\n')
    ran = project.run("plan", "--refresh")
    assert "read by 1 experiment: old (archived)\n" in ran.out


@pytest.mark.parametrize("width", [44, 80])
def test_who_reads_is_broken_between_words_at_a_terminal(width):
    names = [f"experiment_of_the_team_number_{n}" for n in range(9)]
    change = Change(A, ASSIGNMENT_SOURCE, "a", (FieldChange.of(ASSIGNMENT_SOURCE.field["sql"], "a", "b"),))
    touched = Touched(change, tuple(Reader(name, "active") for name in names), listed=9)
    lines = render_touched([touched], Style(width)).splitlines()
    assert max(map(len, lines)) <= width
    assert " ".join(" ".join(lines).split()).endswith("a full reload is needed afterwards")


def test_each_form_names_ten_of_many_experiments_and_counts_the_rest(project, api, changed):
    many = [{**READERS[0], "id": str(n), "name": f"experiment_of_the_growth_team_{n}"} for n in range(300)]
    changed(many)
    lost = "300 lose their idType stableID: experiment_of_the_growth_team_0, "
    text = project.run("plan", "--refresh").out
    assert lost in text
    assert text.count("and 290 more") == 2
    comment = project.run("plan", "--refresh", "--markdown").out
    assert (
        "- `assignment_source.a`: read by 300 experiments, 300 of them active: `experiment_of_the_growth_team_0 ("
        in comment
    )
    assert "`experiment_of_the_growth_team_9 (active)` and 290 more; a full reload is needed afterwards\n" in comment
    assert "  - 300 lose `their idType stableID`: `experiment_of_the_growth_team_0`, " in comment
    (one,) = json.loads(project.run("plan", "--refresh", "--json").out)["statform"]["touched"]
    assert len(one["experiments"]) == 300
    api.project.sources["assignment_source"]["a"]["idTypeMapping"] = UNITS[:1]
    assert lost in project.run("audit", "--html", "page.html").out
    assert lost.encode() in project.files["page.html"]
