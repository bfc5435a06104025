"""What one PATCH of an apply takes, beside a bare client that sends the same requests to the same emulator.

The emulator has the sources that are changed and no others, however large the state is, and the remote is not listed
first: the API's own time is the same throughout, so that what differs is ours.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from statistics import mean, median
from subprocess import PIPE
from urllib.parse import quote

from attrs import astuple, frozen
from content import JOURNAL, Content, values, write_state, write_statform
from measure import HERE, PYTHON, STATFORM, Failed, Measurer, Subject, run, running, say

from planner.definitions.resources import ASSIGNMENT_SOURCE
from state import journal
from state.records import Intent

KEY = {"STATSIG_API_KEY": "console-benchmark"}


@frozen
class PatchSample:
    """Seconds per PATCH: ours, the bare client's; and per appended and synced line of the journal's mean size."""

    apply_s: float
    bare_s: float
    sync_s: float

    @property
    def least_s(self) -> float:
        return self.bare_s + 2 * self.sync_s


@frozen
class Patches:
    """The samples with `resources` in the state, one a round."""

    resources: int
    changes: int
    samples: tuple[PatchSample, ...]

    @property
    def medians(self) -> PatchSample:
        return PatchSample(*(median(column) for column in zip(*map(astuple, self.samples), strict=True)))

    @property
    def over_least(self) -> float:
        return median(s.apply_s / s.least_s for s in self.samples)

    def over(self, other: Patches) -> float:
        return median(a.apply_s / b.apply_s for a, b in zip(self.samples, other.samples, strict=True))


def measure_patches(
    measurer: Measurer, scratch: Path, sizes: Sequence[int], changes: int, rounds: int
) -> list[Patches]:
    """All sizes in turn, and again."""
    found: dict[int, list[PatchSample]] = {size: [] for size in sizes}
    for size in sizes:
        make(scratch / str(size), Content(size, changes))
    for number in range(rounds):
        for size in sizes:
            say(f"apply of {changes} changes with {size:,} resources  round {number + 1} of {rounds}")
            write_state(scratch / str(size) / "project", size)
            found[size].append(_sample(measurer, scratch / str(size), changes))
    return [Patches(size, changes, tuple(samples)) for size, samples in found.items()]


def make(directory: Path, content: Content) -> None:
    """In the directory a `project` with changes, and as `remote` what they are of, as the state has it."""
    write_statform(directory / "project", content)
    changed = [values(index) for index in range(content.count) if content.is_changed(index)]
    (directory / "remote").write_text(json.dumps({ASSIGNMENT_SOURCE.name: changed}), encoding="utf-8")


def _sample(measurer: Measurer, directory: Path, changes: int) -> PatchSample:
    environ = {**measurer.environ, **KEY}
    log = directory / "project" / JOURNAL
    start = log.stat().st_size
    with emulator(directory / "remote", environ) as url:
        command = (STATFORM, "apply", "--auto-approve", "--no-check-drift", "--base-url", url)
        expects = f"Plan: {changes} to update"
        measurer.measure(Subject("statform apply", command, directory / "project", 1, expects), looks=True, more=KEY)
    lines = log.read_bytes()[start:]
    records = [record for _, record in journal.decode(lines, str(log))]
    intents = [record for record in records if isinstance(record, Intent)]
    if len(intents) != changes:
        raise Failed(f"statform apply sent {len(intents)} requests, not {changes}")
    requests, size = directory / "requests.json", round(mean(map(len, lines.splitlines(keepends=True))))
    requests.write_text(json.dumps([(_path(intent), intent.sent) for intent in intents]), encoding="utf-8")
    with emulator(directory / "remote", environ) as url:
        synced = directory / "project" / "synced"
        bare = (PYTHON, str(HERE / "bare.py"), url, str(requests), str(synced), str(size))
        told = json.loads(run(bare, directory, environ))
    return PatchSample(period_s([intent.at for intent in intents]), told["patch_s"], told["sync_s"])


def _path(intent: Intent) -> str:
    return ASSIGNMENT_SOURCE.path.replace("{name}", quote(intent.name, safe=""))


def period_s(times: Sequence[str]) -> float:
    """From intent to intent, by the journal's own times: all that a PATCH takes, and nothing of start and end.

    From the second on, since the first makes the connection.
    """
    first, last = (datetime.fromisoformat(times[index].replace("Z", "+00:00")) for index in (1, -1))
    return (last - first).total_seconds() / (len(times) - 2)


@contextmanager
def emulator(sources: Path, environ: Mapping[str, str]) -> Iterator[str]:
    """A fresh one, with these sources: its URL."""
    with running((PYTHON, str(HERE / "api.py"), str(sources)), environ, stdout=PIPE) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        if "http://" not in line:
            raise Failed("the emulator did not start; it is an extra: pip install 'statform[bench]'")
        yield line.split()[-1]
