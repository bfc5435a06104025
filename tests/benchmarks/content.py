"""Makes what is measured: the same resources as a statform project and as a Terraform configuration, with states."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from attrs import frozen

from state import journal
from state.fold import replay
from state.records import End, Genesis, Imported, Record
from state.snapshot import EMPTY, FORMAT, encode_snapshot
from state.values import JSON, Address

PER_FILE = 500
STATE, JOURNAL = "statform.state.json", "statform.state.journal.jsonl"
CHANGED = " (as of the new release)"
SQL = "SELECT ts, experiment_name, group_id, user_id, stable_id\nFROM analytics.exposures."
_AT = "2026-01-01T00:00:00.000Z"
_LINEAGE = "5f0c9d5e-3c57-4a57-9d0a-2b1f0e6f7a11"
# Else pacing would be what is measured.
_SETTINGS = "[statform]\n\n[statform.pacing]\nper_10_seconds = 1000000\nper_15_minutes = 1000000\n"


@frozen
class Content:
    """`count` resources, of which `changed` have another description than the state has, evenly spread.

    With `one_in`, one in so many has its query in a .sql file, as the state has it.
    """

    count: int
    changed: int = 0
    one_in: int | None = None

    def definitions(self) -> Iterator[tuple[str, dict[str, JSON]]]:
        """Key and declared fields of each."""
        for index in range(self.count):
            query = {"sql_file": f"{key(index)}.sql"} if self.one_in and index % self.one_in == 0 else {}
            yield key(index), {**fields(index, CHANGED if self.is_changed(index) else ""), **query}

    def is_changed(self, index: int) -> bool:
        return index * self.changed // self.count != (index + 1) * self.changed // self.count


def key(index: int) -> str:
    return f"source_{index:06}"


def fields(index: int, suffix: str = "") -> dict[str, JSON]:
    return {
        "name": f"{key(index)}_exposures",
        "description": f"Exposures of the experiments in area {index}, one row for each exposure{suffix}",
        "tags": ["core", f"area-{index % 50}"],
        "timestampColumn": "ts",
        "experimentIDColumn": "experiment_name",
        "groupIDColumn": "group_id",
        "isVerified": index % 3 == 0,
        "idTypeMapping": [
            {"statsigUnitID": "userID", "column": "user_id"},
            {"statsigUnitID": "stableID", "column": f"stable_id_{index % 7}"},
        ],
    }


def values(index: int) -> dict[str, JSON]:
    """What the API says of it."""
    return {**fields(index), "sql": SQL + key(index)}


def write_statform(directory: Path, content: Content) -> None:
    """A project whose state is that of the unchanged content."""
    definitions = list(content.definitions())
    write_definitions(directory, definitions)
    for name, declared in definitions:
        if "sql_file" in declared:
            (directory / "definitions" / f"{name}.sql").write_text(SQL + name + "\n", encoding="utf-8")
    write_state(directory, content.count)


def write_definitions(directory: Path, definitions: Sequence[tuple[str, Mapping[str, JSON]]]) -> None:
    (directory / "definitions").mkdir(parents=True)
    (directory / "statform.toml").write_text(_SETTINGS, encoding="utf-8")
    for number, start in enumerate(range(0, len(definitions), PER_FILE)):
        text = "\n".join(_toml(*definition) for definition in definitions[start : start + PER_FILE])
        (directory / "definitions" / f"sources_{number:04}.toml").write_text(text, encoding="utf-8")


def write_state(directory: Path, count: int) -> None:
    """The state and the journal of a run that imported all."""
    log, state = _state(count)
    (directory / JOURNAL).write_bytes(log)
    (directory / STATE).write_bytes(state)


def _toml(name: str, declared: Mapping[str, JSON]) -> str:
    # A basic string of TOML is one of JSON, and so are booleans and lists of strings.
    plain = {k: json.dumps(v) for k, v in declared.items() if k != "idTypeMapping"}
    lines = [f"[assignment_source.{name}]", *(f"{k} = {v}" for k, v in plain.items()), "idTypeMapping = ["]
    mapping = declared["idTypeMapping"]
    assert isinstance(mapping, list)
    for entry in mapping:
        assert isinstance(entry, dict)
        lines.append("  { " + ", ".join(f"{k} = {json.dumps(v)}" for k, v in entry.items()) + " },")
    return "\n".join([*lines, "]", ""])


def _state(count: int) -> tuple[bytes, bytes]:
    records = list(_records(count))
    lines, head = [], journal.anchor(_LINEAGE)
    for record in records:
        line, head = journal.encode(record, head)
        lines.append(line)
    log = b"".join(lines)
    return log, encode_snapshot(replay(EMPTY, records)._replace(head=head, journal_bytes=len(log)))


def _records(count: int) -> Iterator[Record]:
    yield Genesis(_LINEAGE, FORMAT, _AT)
    for index in range(count):
        yield Imported(Address(f"assignment_source.{key(index)}"), values(index), _AT)
    yield End("ok", _AT)


def write_terraform(directory: Path, content: Content) -> None:
    """The same with `terraform_data`, the one resource that needs no provider, and a state in format 4."""
    directory.mkdir(parents=True)
    resources = {name: {"input": declared} for name, declared in content.definitions()}
    _write_json(directory / "main.tf.json", {"resource": {"terraform_data": resources}})
    unchanged = [_terraform_resource(name, declared) for name, declared in Content(content.count).definitions()]
    state = {
        "version": 4,
        "terraform_version": "1.4.0",
        "serial": 1,
        "lineage": _LINEAGE,
        "outputs": {},
        "resources": unchanged,
        "check_results": None,
    }
    _write_json(directory / "terraform.tfstate", state)


def _write_json(path: Path, value: Mapping[str, object]) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def _terraform_resource(name: str, declared: Mapping[str, JSON]) -> dict[str, object]:
    value = {"value": declared, "type": _terraform_type(declared)}
    id_ = str(uuid.uuid5(uuid.UUID(_LINEAGE), name))
    attributes = {"id": id_, "input": value, "output": value, "triggers_replace": None}
    return {
        "mode": "managed",
        "type": "terraform_data",
        "name": name,
        "provider": 'provider["terraform.io/builtin/terraform"]',
        "instances": [{"schema_version": 0, "attributes": attributes, "sensitive_attributes": []}],
    }


def _terraform_type(value: object) -> str | list[object]:
    """A value's type as Terraform's state spells it."""
    match value:
        case bool():
            return "bool"
        case str():
            return "string"
        case Mapping():
            return ["object", {k: _terraform_type(v) for k, v in value.items()}]
        case Sequence():
            return ["tuple", [_terraform_type(v) for v in value]]
        case _:
            raise TypeError(f"{value!r} is in no definition")
