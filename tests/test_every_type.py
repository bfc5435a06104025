"""What statform does with a resource type it does with every row of the table, and with one that is made up here."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import lossy
import pytest
from attrs import frozen
from canary import KEY
from strategies import toml_definition

from planner.cli.main import run
from planner.console.api import PROJECT
from planner.definitions.fields import NOT_PATCH, Boolean, Field, Integer, KeyedList, Kind, String, StringSet, Table
from planner.definitions.fields import Call as FieldsCall
from planner.definitions.resources import ASSIGNMENT_SOURCE, RESOURCE_TYPES, ResourceType
from planner.definitions.schema import build_schema
from planner.emulator.calls import EmulatedAnswer, EmulatedCall
from planner.emulator.data import sources_for

GADGET = ResourceType.of(
    name="gadget",
    path="/console/v1/gadgets/{name}",
    list_path="/console/v1/gadgets",
    log_name="great_gadget",
    fields=(
        Field("description", String(), "What it is for.", returned=True),
        Field("isVerified", Boolean(), "Whether it is."),
        Field("tags", StringSet(), "Tags.", returned=True),
        Field("sql", String(), "A query.", calls=NOT_PATCH, required=True, returned=True),
        Field("parts", KeyedList(key="part", value="column"), "Its parts.", returned=True),
        Field("owner", Table(("ownerID",)), "Whose it is.", nullable=True),
        Field("size", Integer(1, 9), "How large it is.", nullable=True),
    ),
)


def value_of(kind: Kind) -> Any:
    match kind:
        case String():
            return "text"
        case Boolean():
            return True
        case Integer():
            return kind.maximum
        case StringSet():
            return ["b", "a"]
        case KeyedList():
            return [{kind.key: "k", kind.value: "v"}]
        case Table():
            return {kind.members[0]: "m"}


def required_of(type_: ResourceType) -> dict[str, Any]:
    return {field.name: value_of(field.kind) for field in type_.fields if field.required}


def settable_of(type_: ResourceType) -> dict[str, Any]:
    call = FieldsCall.PATCH if type_.has_patch else FieldsCall.FULL
    return {field.name: value_of(field.kind) for field in type_.in_call(call)}


def definition_of(type_: ResourceType, key: str, values: dict[str, Any] | None = None) -> str:
    return toml_definition(key, settable_of(type_) if values is None else values).replace(
        "[assignment_source.", f"[{type_.name}."
    )


@frozen
class Bench:
    """A project directory, which is the current one, and an API whose sources change behind its back."""

    api: lossy.LossyApi
    capture: pytest.CaptureFixture[str]

    def run(self, *words: str) -> tuple[int, str]:
        code = run(words)
        out, err = self.capture.readouterr()
        assert "Error" not in err, err
        return code, out

    def call(self, method: str, path: str, body: dict[str, Any], by: str) -> None:
        headers = {"statsig-api-key": KEY, "content-type": "application/json", "x-emulator-user": by}
        content = json.dumps(body).encode()
        call = EmulatedCall(method, path, {}, headers, content, datetime.now(timezone.utc))
        assert self.api.project.answer(call, 0.0).status in {200, 201}

    def create(self, type_: ResourceType, name: str, by: str) -> None:
        self.call("POST", type_.create_path, {"name": name, **required_of(type_)}, by)

    def change(self, type_: ResourceType, name: str, fields: dict[str, Any], by: str) -> None:
        path = type_.path.replace("{name}", name)
        if type_.has_patch:
            self.call("PATCH", path, fields, by)
        else:
            source = {k: v for k, v in self.api.sources(type_.name)[name].items() if k != "name"}
            self.call("POST", path, {**source, **fields}, by)

    def listed(self) -> set[str]:
        return {path for method, path in map(str.split, self.api.calls) if method == "GET"} - {PROJECT}


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Bench]:
    monkeypatch.setitem(RESOURCE_TYPES, GADGET.name, GADGET)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STATSIG_API_KEY", KEY)
    Path("statform.toml").write_text("")
    Path("definitions").mkdir()
    with lossy.serve(sources_for([])) as api:
        monkeypatch.setenv("STATSIG_BASE_URL", api.url)
        yield Bench(api, capsys)


every_type = pytest.mark.parametrize("type_", [*RESOURCE_TYPES.values(), GADGET], ids=lambda type_: type_.name)


@pytest.fixture
def applied(type_: ResourceType, bench: Bench) -> Bench:
    """One source of the type, which an apply has brought to what is defined."""
    bench.create(type_, "a", "Bob")
    Path("definitions/a.toml").write_text(definition_of(type_, "a"))
    code, out = bench.run("plan", "--detailed-exitcode")
    assert code == 2
    assert f"{type_.name}.a" in out
    code, out = bench.run("apply", "--auto-approve")
    assert (code, out.splitlines()[-1].startswith("Apply complete:")) == (0, True)
    return bench


@every_type
def test_it_is_applied_and_then_as_it_is_defined(type_, applied):
    assert settable_of(type_).items() <= applied.api.sources(type_.name)["a"].items()
    assert applied.run("plan", "--detailed-exitcode")[0] == 0
    assert applied.run("audit")[0] == 0
    # Who reads it is of the experiments, and of the metrics that are made of it.
    lists = {path for path in applied.listed() if path.startswith(type_.list_path)}
    assert lists == {type_.list_path}
    assert not {other.list_path for other in RESOURCE_TYPES.values() if other is not type_} & applied.listed()


@every_type
def test_it_is_created_and_its_query_changed_and_it_is_deleted(type_, bench):
    whole = {**settable_of(type_), **required_of(type_)}
    text = definition_of(type_, "a", whole).replace("adopt = true\n", "")
    Path("definitions/a.toml").write_text(text)
    assert bench.run("apply", "--auto-approve")[0] == 0
    assert whole.items() <= bench.api.sources(type_.name)["a"].items()
    Path("definitions/a.toml").write_text(text.replace('sql = "text"', 'sql = "SELECT 2"'))
    assert bench.run("apply", "--auto-approve")[0] == 0
    assert {**whole, "sql": "SELECT 2"}.items() <= bench.api.sources(type_.name)["a"].items()
    assert bench.run("audit")[0] == 0
    Path("definitions/a.toml").unlink()
    Path("statform.toml").write_text(f'[[removed]]\nfrom = "{type_.name}.a"\ndelete = true\n')
    assert bench.run("apply", "--auto-approve", "--allow-deletes", "1")[0] == 0
    assert bench.api.sources(type_.name) == {}


@every_type
def test_who_changed_and_who_made_one_is_told(type_, applied):
    applied.change(type_, "a", {"description": "theirs"}, "Ana")
    applied.create(type_, "both", "Eve")
    code, text = applied.run("audit", "--who")
    assert code == 2
    # The actions of a type without a name in the log are nobody's.
    is_told = type_.log_name is not None
    assert (f"  {type_.name}.a: description, by Ana, " in text) == is_told
    assert (f"  {type_.name} both: created, by Eve, " in text) == is_told
    assert f"does not have.\n\n  {type_.name} both\n" in text
    code, _ = applied.run("audit", "--who", "--html", "page.html")
    page = Path("page.html").read_text()
    assert all(word in page for word in (type_.name, "theirs"))
    assert all((word in page) == is_told for word in ("by Ana", "by Eve"))


@every_type
def test_what_moved_is_taken_over_and_what_nobody_manages_is_imported(type_, applied):
    applied.change(type_, "a", {"description": "theirs"}, "Ana")
    applied.create(type_, "both", "Eve")
    assert applied.run("refresh", "--auto-approve")[0] == 0
    code, out = applied.run("import", "--all")
    assert (code, out) == (0, "Imported 1 source. `statform plan` now shows 1 change.\n")
    assert f"[{type_.name}.both]" in Path("definitions/imported.toml").read_text()
    assert applied.run("audit")[0] == 0


@every_type
def test_what_the_api_alone_fills_in_is_not_imported_as_a_definition_that_can_not_be(type_, bench):
    bench.create(type_, "a", "Eve")
    everything = {field.name: value_of(field.kind) for field in type_.fields}
    bench.api.project.sources[type_.name]["a"].update(everything)
    assert bench.run("import", "--all")[0] == 0
    assert bench.run("validate")[0] == 0
    assert bench.run("plan", "--detailed-exitcode")[0] == 0


@every_type
def test_it_is_in_the_schema(type_, bench):
    fields = build_schema()["properties"][type_.name]["additionalProperties"]["properties"]
    assert {field.name for field in type_.fields if field.calls} < set(fields)
    assert not {field.name for field in type_.fields if not field.calls} & set(fields)


def test_sources_of_two_types_with_one_name_have_each_their_own_author_and_key(bench):
    types = (ASSIGNMENT_SOURCE, GADGET)
    for type_, by in zip(types, ("Ana", "Bob"), strict=True):
        bench.create(type_, "a", "Eve")
        bench.create(type_, "both", by)
        Path(f"definitions/{type_.name}.toml").write_text(definition_of(type_, "a"))
    assert bench.run("apply", "--auto-approve")[0] == 0
    _, text = bench.run("audit", "--who")
    assert "  assignment_source both: created, by Ana, " in text
    assert "  gadget both: created, by Bob, " in text
    found = json.loads(bench.run("audit", "--who", "--json")[1])["unmanaged"]
    assert [(one["type"], one["name"], one["who"]["by"]) for one in found] == [
        ("assignment_source", "both", "Ana"),
        ("gadget", "both", "Bob"),
    ]
    assert bench.run("import", "--all")[0] == 0
    text = Path("definitions/imported.toml").read_text()
    assert "[assignment_source.both]" in text
    assert "[gadget.both]" in text


def test_a_project_that_uses_no_type_imports_of_all(bench):
    for type_ in (ASSIGNMENT_SOURCE, GADGET):
        bench.create(type_, "a", "Eve")
    assert bench.run("import", "--all")[1].startswith("Imported 2 sources.")
    assert bench.listed() == {type_.list_path for type_ in RESOURCE_TYPES.values()}


def test_a_type_that_nobody_named_and_the_key_may_not_list_is_a_warning(bench, monkeypatch):
    bench.create(ASSIGNMENT_SOURCE, "a", "Eve")
    answer = bench.api.project.answer

    def forbidding(call: EmulatedCall, now: float) -> EmulatedAnswer:
        is_it = call.path == GADGET.list_path
        return EmulatedAnswer(403, {"status": 403, "message": "Forbidden."}) if is_it else answer(call, now)

    monkeypatch.setattr(bench.api.project, "answer", forbidding)
    assert run(("import", "--all", "--type", "gadget")) == 3
    assert "answered 403" in bench.capture.readouterr().err
    assert run(("import", "--all")) == 0
    out, err = bench.capture.readouterr()
    assert out.startswith("Imported 1 source.")
    assert "gadget is left out: " in err
    assert "answered 403" in err


def test_an_import_takes_the_types_that_are_named(bench):
    bench.create(ASSIGNMENT_SOURCE, "a", "Eve")
    bench.create(GADGET, "a", "Eve")
    assert bench.run("import", "--all", "--type", "gadget")[1].startswith("Imported 1 source.")
    assert bench.listed() == {GADGET.list_path}
    bench.api.calls.clear()
    assert bench.run("import", "--all", "--type", "assignment_source")[1].startswith("Imported 1 source.")
    assert run(("import", "--all", "--type", "gadgat")) == 1
    assert 'did you mean "gadget"?' in bench.capture.readouterr().err


def test_an_action_that_names_no_type_is_never_surely_about_a_name_that_two_types_have(bench):
    for type_ in (ASSIGNMENT_SOURCE, GADGET):
        bench.create(type_, "a", "Eve")
        Path(f"definitions/{type_.name}.toml").write_text(definition_of(type_, "a"))
    assert bench.run("apply", "--auto-approve")[0] == 0
    for type_ in (ASSIGNMENT_SOURCE, GADGET):
        bench.change(type_, "a", {"isVerified": False}, "Ana")
    for entry in bench.api.project.log:
        entry["actionType"] = str(entry["actionType"]).replace("_great_gadget", "_source").replace("assignment_", "")
    found = json.loads(bench.run("audit", "--who", "--json")[1])["drift"]
    assert [(one["address"], one["fields"][0]["who"]["sure"]) for one in found] == [
        ("assignment_source.a", False),
        ("gadget.a", False),
    ]
