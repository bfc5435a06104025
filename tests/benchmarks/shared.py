"""What a state that several machines share costs, beside one in files: on servers of this machine, started here.

A clean plan, a PATCH and a run are counted in round trips; the time per PATCH is taken beside that of a state in files,
in turn; a plan of many sources with the server near, and as far away as 20 ms.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

import httpx
import psycopg
from attrs import asdict, define, field, frozen
from content import JOURNAL, Content, write_statform
from measure import STATFORM, Measurer, Subject, run, say
from patches import KEY, emulator, make, period_s

from state import journal
from state.records import Intent

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

import distant
import stores

FILES = "files"
LATENCY_S = 0.02


@frozen
class Costs:
    """Of one place for a state. Trips to it: of a clean plan, connecting included; of a PATCH; of a run besides.

    `connect_trips`: how many of a plan's make the connection. Times are medians in seconds: of a PATCH, how much longer
    that is than with a state in files in the same round, of a plan, and of a plan with each trip put off.
    """

    name: str
    plan_trips: int
    connect_trips: int
    patch_trips: float
    run_trips: float
    patch_s: float
    added_s: float
    plan_s: float
    far_plan_s: float | None


@define
class Place:
    """A server for states; each call of `environ` is a place of its own there."""

    name: str
    url: str
    more: Mapping[str, str]
    line: distant.Line | None = None
    _count: int = 0

    def environ(self) -> dict[str, str]:
        if self.line is None:
            return {}
        self._count += 1
        sign = "#" if self.url.startswith("postgresql") else "/"
        return {**self.more, "STATFORM_STATE": f"{self.url}{sign}bench-{self._count}"}


@define
class _Samples:
    patch_s: list[float] = field(factory=list)
    plan_s: list[float] = field(factory=list)
    far_plan_s: list[float] = field(factory=list)


def measure_shared(measurer: Measurer, scratch: Path, resources: int, changes: int, rounds: int) -> list[Costs]:
    """The costs of a state in files, in PostgreSQL and on an object store."""
    with places() as found:
        samples = {place.name: _Samples() for place in found}
        _time_plans(measurer, scratch, found, samples, resources, rounds)
        for number in range(rounds):
            for place in found:
                say(f"shared  apply of {changes} changes, {place.name}  round {number + 1} of {rounds}")
                directory = scratch / f"patches-{place.name}-{number}"
                samples[place.name].patch_s.append(_time_patch(measurer, directory, place, changes))
        files = samples[FILES].patch_s
        return [_costs(measurer, scratch, place, samples[place.name], files) for place in found]


@contextmanager
def places() -> Iterator[list[Place]]:
    """Files, and what is started for the time of the block."""
    with ExitStack() as stack:
        postgres = stack.enter_context(stores.postgres(stack.enter_context(stores.a_folder()), fsync="on"))
        moto = stack.enter_context(stores.moto(stack.enter_context(stores.a_folder())))
        endpoint = moto.environ["AWS_ENDPOINT_URL"]
        httpx.put(f"{endpoint}/bucket", trust_env=False).raise_for_status()
        database = urlsplit(postgres.url)
        lines = [stack.enter_context(distant.before(urlsplit(url).port or 0)) for url in (postgres.url, endpoint)]
        url = postgres.url.replace(f":{database.port}", f":{lines[0].port}")
        at = {**moto.environ, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{lines[1].port}"}
        yield [Place(FILES, "", {}), Place("PostgreSQL", url, {}, lines[0]), Place("S3 (moto)", moto.url, at, lines[1])]


def _time_plans(
    measurer: Measurer,
    scratch: Path,
    found: Sequence[Place],
    samples: Mapping[str, _Samples],
    resources: int,
    rounds: int,
) -> None:
    made = []
    for place in found:
        directory = scratch / f"plan-{place.name}"
        made.append((place, directory, _share(measurer, directory, place, Content(resources))))
    for number in range(rounds):
        for place, directory, environ in made:
            say(f"shared  plan of {resources:,}, {place.name}  round {number + 1} of {rounds}")
            subject = Subject("statform plan", (STATFORM, "plan"), directory, 1, "No changes")
            sample = measurer.measure(subject, looks=number == 0, more=environ)
            samples[place.name].plan_s.append(sample.wall_s)
            if place.line is not None:
                place.line.latency_s = LATENCY_S
                sample = measurer.measure(subject, looks=False, more=environ)
                samples[place.name].far_plan_s.append(sample.wall_s)
                place.line.latency_s = 0.0


def _share(measurer: Measurer, directory: Path, place: Place, content: Content) -> dict[str, str]:
    """A project with this content whose state is at a new place: what the environment says of that."""
    write_statform(directory, content)
    environ = place.environ()
    if environ:
        run((STATFORM, "state", "push"), directory, {**measurer.environ, **environ})
        for file in directory.glob("statform.state.*"):
            file.unlink()
    return environ


def _time_patch(measurer: Measurer, directory: Path, place: Place, changes: int) -> float:
    _, journal_file = _apply(measurer, directory, place, changes)
    records = [record for _, record in journal.decode(journal_file.read_bytes(), str(journal_file))]
    return period_s([record.at for record in records if isinstance(record, Intent)])


def _apply(measurer: Measurer, directory: Path, place: Place, changes: int) -> tuple[int, Path]:
    """Change so many of as many sources: the trips of that, and the journal."""
    content = Content(changes, changes)
    make(directory, content)
    environ = place.environ()
    project = directory / "project"
    if environ:
        run((STATFORM, "state", "push"), project, {**measurer.environ, **environ})
        for state in project.glob("statform.state.*"):
            state.unlink()
    with emulator(directory / "remote", {**measurer.environ, **KEY}) as url:
        before = place.line.answers if place.line else 0
        command = (STATFORM, "apply", "--auto-approve", "--no-check-drift", "--base-url", url)
        expects = f"Plan: {changes} to update"
        subject = Subject("statform apply", command, project, 1, expects)
        measurer.measure(subject, looks=True, more={**KEY, **environ})
        trips = place.line.answers - before if place.line else 0
    if environ:
        run((STATFORM, "state", "pull"), project, {**measurer.environ, **environ})
    return trips, project / JOURNAL


def _costs(measurer: Measurer, scratch: Path, place: Place, samples: _Samples, files: Sequence[float]) -> Costs:
    say(f"shared  round trips, {place.name}")
    few, many = (_apply(measurer, scratch / f"trips-{place.name}-{n}", place, n)[0] for n in (10, 20))
    patch_trips = (many - few) / 10
    return Costs(
        place.name,
        _plan_trips(measurer, scratch / f"trips-{place.name}", place),
        _connect_trips(place),
        patch_trips,
        few - 10 * patch_trips,
        median(samples.patch_s),
        median(own - other for own, other in zip(samples.patch_s, files, strict=True)),
        median(samples.plan_s),
        median(samples.far_plan_s) if samples.far_plan_s else None,
    )


def _plan_trips(measurer: Measurer, directory: Path, place: Place) -> int:
    environ = _share(measurer, directory, place, Content(100))
    if place.line is None:
        return 0
    before = place.line.answers
    run((STATFORM, "plan"), directory, {**measurer.environ, **environ})
    return place.line.answers - before


def _connect_trips(place: Place) -> int:
    """PostgreSQL's start of a session takes trips of its own."""
    if place.line is None or not place.url.startswith("postgresql"):
        return 0
    before = place.line.answers
    psycopg.connect(place.url).close()
    return place.line.answers - before


def to_json(costs: Sequence[Costs]) -> str:
    return json.dumps([asdict(one) for one in costs], indent=2) + "\n"


def rows(costs: Sequence[Costs]) -> Iterator[tuple[str, ...]]:
    """A line for each place, under `HEAD`."""
    for one in costs:
        is_far = one.far_plan_s is not None
        yield (
            one.name,
            f"{one.plan_trips - one.connect_trips}" if is_far else "",
            f"{one.connect_trips}" if is_far else "",
            f"{one.patch_trips:g}" if is_far else "",
            f"{one.run_trips:g}" if is_far else "",
            f"{one.patch_s * 1000:.1f} ms",
            f"{one.added_s * 1000:+.1f} ms" if is_far else "",
            f"{one.plan_s:.2f} s",
            f"{one.far_plan_s:.2f} s" if one.far_plan_s is not None else "",
        )


HEAD = (
    "state in",
    "trips of a clean plan",
    "to connect",
    "of a PATCH",
    "of a run besides",
    "a PATCH",
    "more than in files",
    "a plan",
    f"with {LATENCY_S * 1000:.0f} ms a trip",
)
