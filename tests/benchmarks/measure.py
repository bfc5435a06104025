"""Runs processes and measures them whole: wall time, processor time, peak memory."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from types import MappingProxyType

from attrs import frozen

HERE = Path(__file__).parent
STATFORM = str(Path(sys.executable).with_name("statform"))
PYTHON = sys.executable
_REMOVED = ("STATSIG_", "TF_", "PYTHON", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


class Failed(Exception):
    """A command did not do what it was to be measured at."""


@frozen
class Sample:
    """One process: from its start until it was waited for."""

    wall_s: float
    cpu_s: float
    peak_mib: float


@frozen
class Subject:
    """A command that is measured `rounds` times; `expects` must be in what it prints, which is looked at once."""

    name: str
    command: tuple[str, ...]
    directory: Path
    rounds: int
    expects: str = ""


@frozen
class Series:
    """The samples of one subject, in the order of the rounds."""

    name: str
    samples: tuple[Sample, ...]

    @property
    def wall_s(self) -> float:
        return median(s.wall_s for s in self.samples)

    @property
    def cpu_s(self) -> float:
        return median(s.cpu_s for s in self.samples)

    @property
    def peak_mib(self) -> float:
        return median(s.peak_mib for s in self.samples)

    def over(self, other: Series) -> float:
        """How many times the other's time it takes: the median of the ratios within a round."""
        return median(a.wall_s / b.wall_s for a, b in zip(self.samples, other.samples, strict=False))


def environment(scratch: Path) -> dict[str, str]:
    """The caller's, without what leads elsewhere, or changes a measurement as PYTHONDONTWRITEBYTECODE would."""
    kept = {k: v for k, v in os.environ.items() if not k.upper().startswith(_REMOVED)}
    terraform = scratch / "terraform.rc"
    terraform.touch()
    return {**kept, "CHECKPOINT_DISABLE": "1", "TF_CLI_CONFIG_FILE": str(terraform)}


@contextmanager
def running(command: Sequence[str], environ: Mapping[str, str], **options: object) -> Iterator[subprocess.Popen[str]]:
    """A process in a group of its own, which is ended as a whole when the block is left early, by Ctrl-C too."""
    process: subprocess.Popen[str] = subprocess.Popen(  # type: ignore[call-overload]
        list(command), env=environ, text=True, start_new_session=True, stdin=subprocess.DEVNULL, **options
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def run(command: Sequence[str], directory: Path, environ: Mapping[str, str]) -> str:
    """What the command prints.

    Raises:
        Failed: it ended with another code than 0.
    """
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with running(command, environ, cwd=directory, **pipes) as process:
        printed, _ = process.communicate()
    if process.returncode:
        raise Failed(f"{shlex.join(command)} in {directory} ended with {process.returncode}:\n{printed[-2000:]}")
    return printed


class Measurer:
    """`scratch` takes what the commands print, each time anew."""

    def __init__(self, scratch: Path) -> None:
        self.environ = environment(scratch)
        self._printed, self._report = scratch / "printed", scratch / "report.json"

    def measure(self, subject: Subject, *, looks: bool, more: Mapping[str, str] = MappingProxyType({})) -> Sample:
        """One run, with `more` in its environment; `looks`: at what it prints, too.

        Raises:
            Failed: it ended with another code than 0, or did not print what is expected.
        """
        environ = {**self.environ, **more}
        launcher = (PYTHON, "-I", "-S", str(HERE / "launcher.py"), str(self._report), *subject.command)
        with (
            self._printed.open("wb") as out,
            running(launcher, environ, cwd=subject.directory, stdout=out, stderr=out) as process,
        ):
            process.wait()
        if process.returncode:
            raise Failed(f"{subject.name}: it could not be started:\n{self._read()[-2000:]}")
        report = json.loads(self._report.read_text(encoding="utf-8"))
        if code := report.pop("code"):
            raise Failed(f"{subject.name} in {subject.directory} ended with {code}:\n{self._read()[-2000:]}")
        if looks and subject.expects not in self._read():
            raise Failed(f"{subject.name} did not print {subject.expects!r}:\n{self._read()[-2000:]}")
        return Sample(**report)

    def _read(self) -> str:
        return self._printed.read_text(encoding="utf-8", errors="replace")

    def rounds(self, subjects: Sequence[Subject], label: str) -> dict[str, Series]:
        """All subjects in turn, and again: what is compared ran side by side."""
        samples: dict[str, list[Sample]] = {subject.name: [] for subject in subjects}
        for number in range(max(subject.rounds for subject in subjects)):
            for subject in (s for s in subjects if number < s.rounds):
                say(f"{label}  round {number + 1} of {subject.rounds}: {subject.name}")
                samples[subject.name].append(self.measure(subject, looks=number == 0))
        return {name: Series(name, tuple(found)) for name, found in samples.items()}


def say(text: str) -> None:
    """Progress, on stderr: on a terminal all in one line."""
    is_terminal = sys.stderr.isatty()
    sys.stderr.write(f"\r\x1b[K{text}" if is_terminal else f"{text}\n")
    sys.stderr.flush()
