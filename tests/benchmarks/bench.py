"""Measures statform as whole processes: beside Terraform on the same content, and beside the least that Python can do.

    make bench                 everything: some 15 minutes
    make bench ARGS=--quick    what takes seconds
    make bench ARGS=--shared   only what a shared state costs

Let the machine do nothing else meanwhile. `content` makes what is measured; `measure`, `patches` and `calls` measure
it, `results` judges it by the goals, `plot` draws it. `shared` is what a state costs that several machines share.
"""

from __future__ import annotations

import os
import platform
import shutil
import signal
import subprocess
import tempfile
from datetime import datetime, timezone
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import click
from attrs import frozen
from calls import measure_calls
from content import Content, write_statform, write_terraform
from measure import HERE, PYTHON, STATFORM, Failed, Measurer, Series, Subject, run, say
from patches import measure_patches
from plot import draw
from results import (
    CLICK,
    FLOOR,
    GROWTH,
    HELP,
    PLAN,
    PLAN_CHANGED,
    PLAN_SQL,
    TERRAFORM,
    TERRAFORM_CHANGED,
    VALIDATE,
    Results,
    table,
)
from shared import HEAD, measure_shared, rows, to_json


@frozen
class Extent:
    """How much is measured: the rounds of each size, those with Terraform, and what is applied.

    What takes little time has the more rounds: a machine that others use too changes its speed from second to second.
    """

    rounds: dict[int, int]
    terraform_rounds: dict[int, int]
    start_rounds: int
    growth_rounds: int
    patch_sizes: tuple[int, ...]
    patch_rounds: int
    shared_resources: int
    shared_rounds: int


FULL = Extent(
    rounds={1: 51, 10: 25, 100: 15, 1_000: 11, 10_000: 15, 100_000: 3},
    terraform_rounds={1: 51, 10: 25, 100: 15, 1_000: 5, 10_000: 1},
    start_rounds=51,
    growth_rounds=5,
    patch_sizes=(100, 10_000),
    patch_rounds=15,
    shared_resources=10_000,
    shared_rounds=7,
)
QUICK = Extent(
    rounds={1: 5, 10: 5, 100: 5, 1_000: 3},
    terraform_rounds={1: 5, 10: 5, 100: 5, 1_000: 1},
    start_rounds=5,
    growth_rounds=0,
    patch_sizes=(100, 1_000),
    patch_rounds=2,
    shared_resources=1_000,
    shared_rounds=2,
)
# As many as the smaller state has resources.
PATCHES = 100


def measure_start(measurer: Measurer, scratch: Path, rounds: int) -> dict[str, Series]:
    subjects = (
        Subject(CLICK, (PYTHON, "-c", "import click"), scratch, rounds),
        Subject(HELP, (STATFORM, "--help"), scratch, rounds, "Usage: statform"),
    )
    return measurer.rounds(subjects, "start")


def measure_size(measurer: Measurer, scratch: Path, n: int, extent: Extent, terraform: str | None) -> dict[str, Series]:
    changed = max(1, n // 10)
    rounds, terraform_rounds = extent.rounds[n], extent.terraform_rounds.get(n, 0) if terraform else 0
    say(f"N={n:,}  making it")
    same, other = Content(n), Content(n, changed)
    write_statform(scratch / "same", same)
    write_statform(scratch / "other", other)
    write_statform(scratch / "sql", Content(n, one_in=10))
    files = [str(path) for path in sorted((scratch / "same").glob("**/*")) if path.suffix in {".toml", ".json"}]
    subjects = [
        Subject(FLOOR, (PYTHON, str(HERE / "floor.py"), *files), scratch, rounds),
        Subject(PLAN, (STATFORM, "plan"), scratch / "same", rounds, "No changes"),
        Subject(PLAN_CHANGED, (STATFORM, "plan"), scratch / "other", rounds, f"Plan: {changed} to update"),
        Subject(PLAN_SQL, (STATFORM, "plan"), scratch / "sql", rounds, "No changes"),
        Subject(VALIDATE, (STATFORM, "validate"), scratch / "same", rounds, f"Valid: {n} definition"),
    ]
    if terraform and terraform_rounds:
        write_terraform(scratch / "tf-same", same)
        write_terraform(scratch / "tf-other", other)
        for name in ("tf-same", "tf-other"):
            run((terraform, "init", "-input=false"), scratch / name, measurer.environ)
        command = (terraform, "plan", "-refresh=false", "-input=false", "-no-color")
        expects = f"Plan: 0 to add, {changed} to change, 0 to destroy"
        # Each after the one that it is compared with.
        subjects.insert(2, Subject(TERRAFORM, command, scratch / "tf-same", terraform_rounds, "No changes"))
        subjects.insert(4, Subject(TERRAFORM_CHANGED, command, scratch / "tf-other", terraform_rounds, expects))
    return measurer.rounds(subjects, f"N={n:,}")


def measure_growth(measurer: Measurer, scratch: Path, rounds: int) -> dict[int, dict[str, Series]]:
    """Both sizes in turn: one after the other, they would tell how the machine's speed changed, too."""
    subjects = {
        (n, name): Subject(f"{name}, N={n:,}", (STATFORM, "plan"), scratch / f"n{n}" / directory, rounds)
        for name, directory in ((PLAN, "same"), (PLAN_CHANGED, "other"))
        for n in GROWTH
    }
    found = measurer.rounds(list(subjects.values()), "growth") if rounds else {}
    return {n: {name: found[subjects[n, name].name] for name in (PLAN, PLAN_CHANGED)} for n in GROWTH} if found else {}


def describe_machine(measurer: Measurer, terraform: str | None) -> dict[str, str]:
    parser = find_spec("tomli._parser")
    kind = "Python" if parser and str(parser.origin).endswith(".py") else "compiled"
    told = run((terraform, "version"), HERE, measurer.environ).splitlines()[0] if terraform else "not on the PATH"
    return {
        "date": datetime.now(timezone.utc).date().isoformat(),
        "machine": f"{_cpu()}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}",
        "Python": f"{platform.python_version()}, tomli {version('tomli')} ({kind})",
        "statform": f"{version('statform')}, commit {_commit()}",
        "Terraform": told.removeprefix("Terraform "),
    }


def _cpu() -> str:
    listed = Path("/proc/cpuinfo")
    lines = listed.read_text(encoding="utf-8").splitlines() if listed.exists() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())


def _commit() -> str:
    command = ("git", "-C", str(HERE), "describe", "--always", "--dirty", "--exclude=*")
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    return told.stdout.strip() or "unknown"


def measure_all(scratch: Path, extent: Extent) -> Results:
    terraform = shutil.which("terraform")
    measurer = Measurer(scratch)
    start = measure_start(measurer, scratch, extent.start_rounds)
    sizes = {}
    for n in extent.rounds:
        directory = scratch / f"n{n}"
        directory.mkdir()
        sizes[n] = measure_size(measurer, directory, n, extent, terraform)
    growth = measure_growth(measurer, scratch, extent.growth_rounds)
    patches = measure_patches(measurer, scratch / "patches", extent.patch_sizes, PATCHES, extent.patch_rounds)
    calls = measure_calls(measurer, scratch / "calls", PATCHES, extent.patch_rounds)
    return Results(describe_machine(measurer, terraform), start, sizes, growth, patches, calls)


@click.command()
@click.option("--quick", is_flag=True, help="Leave out what takes longer than a few seconds.")
@click.option("--shared", "only_shared", is_flag=True, help="Only what a shared state costs.")
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=HERE / "results",
    help="Where bench.json, bench.md and bench.svg go, and shared.json and shared.md.",
)
def main(output: Path, *, quick: bool, only_shared: bool) -> None:
    """Measure statform, beside Terraform where it is on the PATH."""
    # As Ctrl-C: the processes that are measured are ended, and the directory is removed.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    output.mkdir(parents=True, exist_ok=True)
    extent = QUICK if quick else FULL
    with tempfile.TemporaryDirectory(prefix="statform-bench-") as name:
        scratch = Path(name).resolve()
        try:
            if not only_shared:
                write_results(output, measure_all(scratch, extent))
            write_shared(output, Measurer(scratch), scratch / "shared", extent)
        except Failed as error:
            raise click.ClickException(str(error)) from None


def write_results(output: Path, results: Results) -> None:
    say("")
    (output / "bench.json").write_text(results.to_json(), encoding="utf-8")
    (output / "bench.md").write_text(results.to_markdown(), encoding="utf-8")
    (output / "bench.svg").write_text(draw(results), encoding="utf-8")
    click.echo(results.to_markdown(), nl=False)


def write_shared(output: Path, measurer: Measurer, scratch: Path, extent: Extent) -> None:
    costs = measure_shared(measurer, scratch, extent.shared_resources, PATCHES, extent.shared_rounds)
    machine = describe_machine(measurer, None)
    machine.pop("Terraform")
    head = "\n".join(f"{name}: {value}" for name, value in machine.items())
    told = f"{head}\nresources of a plan: {extent.shared_resources:,}\n\n{table(HEAD, list(rows(costs)))}\n"
    say("")
    (output / "shared.json").write_text(to_json(costs), encoding="utf-8")
    (output / "shared.md").write_text(told, encoding="utf-8")
    click.echo(told, nl=False)


if __name__ == "__main__":
    main()
