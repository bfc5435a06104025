"""What a create, a full update and a delete take in an apply, beside a PATCH: by the journal's own times."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from statistics import median

from attrs import frozen
from content import JOURNAL, STATE, Content, fields, key, values, write_definitions, write_state
from measure import STATFORM, Measurer, Subject, say
from patches import KEY, emulator, period_s

from planner.definitions.resources import ASSIGNMENT_SOURCE
from state import journal
from state.records import Intent
from state.values import JSON

KINDS: Mapping[str, str] = {
    "PATCH": "to update",
    "create": "to create",
    "full update": "to update",
    "delete": "to DELETE",
}
"""What a plan says of each."""


@frozen
class Calls:
    """Seconds per request of a kind, one sample a round."""

    kind: str
    samples: tuple[float, ...]

    @property
    def median_s(self) -> float:
        return median(self.samples)

    def over(self, other: Calls) -> float:
        return median(a / b for a, b in zip(self.samples, other.samples, strict=True))


def measure_calls(measurer: Measurer, scratch: Path, count: int, rounds: int) -> list[Calls]:
    """So many requests of each kind in turn, and again; as many sources again stay as they are."""
    found: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for number in range(rounds):
        for kind in KINDS:
            say(f"apply of {count} times {kind}  round {number + 1} of {rounds}")
            found[kind].append(_sample(measurer, scratch, kind, count))
    return [Calls(kind, tuple(samples)) for kind, samples in found.items()]


def _sample(measurer: Measurer, scratch: Path, kind: str, count: int) -> float:
    shutil.rmtree(scratch, ignore_errors=True)
    project, remote = scratch / "project", scratch / "remote"
    _make(project, kind, count)
    there = [values(index) for index in range(2 * count)]
    remote.write_text(json.dumps({ASSIGNMENT_SOURCE.name: there}), encoding="utf-8")
    start = (project / JOURNAL).stat().st_size
    with emulator(remote, {**measurer.environ, **KEY}) as url:
        command = (STATFORM, "apply", "--auto-approve", "--allow-deletes", str(count), "--base-url", url)
        expects = f"Plan: {count} {KINDS[kind]}"
        measurer.measure(Subject("statform apply", command, project, 1, expects), looks=True, more=KEY)
    records = [record for _, record in journal.decode((project / JOURNAL).read_bytes()[start:], STATE)]
    return period_s([record.at for record in records if isinstance(record, Intent)])


def _make(project: Path, kind: str, count: int) -> None:
    """A project of twice as many sources, of which so many are to be changed, or deleted, or as many more made."""
    definitions = dict(Content(2 * count, count if kind == "PATCH" else 0).definitions())
    for index in range(count):
        if kind == "create":
            definitions[key(2 * count + index)] = values(2 * count + index)
        elif kind == "full update":
            query: dict[str, JSON] = {"sql": f"SELECT {index}"}
            definitions[key(index)] = {**fields(index), **query}
        elif kind == "delete":
            del definitions[key(index)]
    write_definitions(project, list(definitions.items()))
    if kind == "delete":
        removed = [f'[[removed]]\nfrom = "assignment_source.{key(n)}"\ndelete = true\n' for n in range(count)]
        with (project / "statform.toml").open("a", encoding="utf-8") as settings:
            settings.write("\n" + "\n".join(removed))
    write_state(project, 2 * count)
