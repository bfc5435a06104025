"""The installed command and its emulator as subprocesses, in a clean environment, over real sockets."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import quote

import forkserver
import httpx
import pytest
from attrs import define, evolve, field, frozen
from canary import leaks
from published import check_output

from state import journal, store
from state.fold import replay
from state.snapshot import EMPTY, encode_snapshot

# Beside the interpreter: in the virtual environment of a wheel it is the wheel's that gets tested.
STATFORM = Path(sys.executable).with_name("statform")


@frozen
class Ran:
    """How a command ended, and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """Those of stdout: a test that compares them says which differs, and not how a long text begins."""
        return self.out.splitlines()

    @property
    def last(self) -> str:
        """The last line of stdout, "" if it has none."""
        return self.lines[-1] if self.out else ""


def without_rights() -> list[str]:
    """The words before a command under which permissions count for root as well."""
    if os.geteuid() != 0:
        return []
    words = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search", "--"]
    if shutil.which("setpriv") is None or subprocess.run([*words, "true"], check=False).returncode != 0:
        pytest.skip("root is refused nothing")
    return words


def hastened() -> list[str]:
    """The words before a command under which its clock is fast also where it is no fork."""
    return [] if forkserver.is_installed() else [sys.executable, str(Path(__file__).with_name("hastened.py"))]


@define
class Streams:
    """All that the processes of a test wrote, to be searched for the key, and a line on how each command ended."""

    texts: list[str | bytes | None] = field(factory=list)
    ends: list[str] = field(factory=list)

    def note(self, *texts: str | bytes | None) -> None:
        self.texts += texts

    def note_end(self, process: subprocess.Popen[Any], err: str | bytes | None) -> None:
        """Remember in a line what was called, how it ended and what it said of that."""
        words = [process.args] if isinstance(process.args, str | bytes | os.PathLike) else [*process.args]
        if any(os.fsdecode(word).endswith("statform") for word in words):
            said = err.decode(errors="replace") if isinstance(err, bytes) else err or ""
            called = " ".join(Path(os.fsdecode(word)).name for word in words)
            self.ends.append(f"{called[-200:]}: {process.returncode}: {' | '.join(said.splitlines())[-500:]}")


@define
class Project:
    """A directory with definitions and a state. `environ` is all that its commands get."""

    directory: Path
    streams: Streams = field(repr=False)
    environ: dict[str, str] = field(repr=False)

    def write(self, name: str, text: str) -> Path:
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def define(self, text: str, settings: str = "") -> None:
        """Let these be all definitions."""
        self.write("statform.toml", f"[statform]\n{settings}\n{text}")

    def run(
        self,
        *arguments: str,
        under: Sequence[str] = (),
        stdin: str = "",
        cwd: Path | None = None,
        timeout: float = 60,
        **environ: str,
    ) -> Ran:
        done = subprocess.run(
            [*under, str(STATFORM), *arguments],
            cwd=cwd or self.directory,
            env=self.environ | environ,
            input=stdin,
            capture_output=True,
            encoding="utf-8",
            timeout=timeout,
            check=False,
        )
        check_output(arguments, done.stdout)
        return Ran(done.returncode, done.stdout, done.stderr)

    def shell(self, script: str) -> Ran:
        """Run a script of bash; `statform` in it is the installed command."""
        environ = self.environ | {"PATH": f"{STATFORM.parent}{os.pathsep}{self.environ['PATH']}"}
        done = subprocess.run(
            ["bash", "-c", f"set -o pipefail; {script}"],
            cwd=self.directory,
            env=environ,
            capture_output=True,
            encoding="utf-8",
            timeout=60,
            check=False,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    def apply(self, *arguments: str, timeout: float = 60, **environ: str) -> Ran:
        """An apply that has to succeed."""
        ran = self.run("apply", "--auto-approve", *arguments, timeout=timeout, **environ)
        assert ran.code == 0, ran
        return ran

    def age(self, seconds: float = 120) -> None:
        """Let all that the journal has be that much older, as the files are when nobody works with them for a while."""
        path = self.directory / "statform.state.json"
        chain = store.read_journal(path)
        assert chain is not None
        records = [evolve(record, at=_earlier(record.at, seconds)) for _, record in journal.entries(chain)]
        lines, head = [], journal.anchor(records[0].lineage)
        for record in records:
            line, head = journal.encode(record, head)
            lines.append(line)
        raw = b"".join(lines)
        path.with_name("statform.state.journal.jsonl").write_bytes(raw)
        made = replay(EMPTY, records)._replace(head=head, journal_bytes=len(raw))
        path.write_bytes(encode_snapshot(made))

    @property
    def resources(self) -> dict[str, Any]:
        """What the state file says of each address."""
        return json.loads((self.directory / "statform.state.json").read_text())["resources"]

    @property
    def records(self) -> list[dict[str, Any]]:
        lines = (self.directory / "statform.state.journal.jsonl").read_text().splitlines()
        return [json.loads(line)["record"] for line in lines]

    @property
    def files(self) -> dict[str, bytes]:
        """Every file but the lock, of which only readers of messages care."""
        return {
            str(path.relative_to(self.directory)): path.read_bytes()
            for path in sorted(self.directory.rglob("*"))
            if path.is_file() and path.suffix != ".lock"
        }


def _earlier(at: str, seconds: float) -> str:
    moment = datetime.fromisoformat(at.replace("Z", "+00:00")) - timedelta(seconds=seconds)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


REQUIRED = {
    "sql": "SELECT 1",
    "timestampColumn": "ts",
    "experimentIDColumn": "experiment",
    "groupIDColumn": "group",
    "idTypeMapping": [{"statsigUnitID": "userID", "column": "user_id"}],
}
"""What a create of an assignment source needs beside a name."""


def source(name: str, **fields: Any) -> dict[str, Any]:
    """A source as the API has it."""
    return {"name": name, "description": "", "tags": [], **REQUIRED, **fields}


@define
class Emulator:
    """A running `statform emulator` and its data file."""

    process: subprocess.Popen[str]
    url: str
    data: Path

    @property
    def sources(self) -> dict[str, dict[str, Any]]:
        """The sources by their names."""
        return {one["name"]: one for one in json.loads(self.data.read_text())["assignment_source"]}

    def change(self, which: str, by: str = "Somebody", **fields: Any) -> None:
        """Change a source behind statform's back."""
        self._send("PATCH", which, fields, by)

    def create(self, name: str, by: str = "Somebody") -> None:
        self._send("POST", None, source(name), by)

    def replace(self, name: str, by: str = "Somebody", **fields: Any) -> None:
        """A full update."""
        self._send("POST", name, source(name, **fields), by)

    def delete(self, name: str, by: str = "Somebody") -> None:
        self._send("DELETE", name, None, by)

    def _send(self, method: str, name: str | None, body: Any, by: str) -> None:
        item = "assignment_sources" if name is None else f"assignment_source/{quote(name, safe='')}"
        path = f"{self.url}/console/v1/experiments/{item}"
        headers = {"STATSIG-API-KEY": "console-somebody", "X-Emulator-User": by}
        httpx.request(method, path, json=body, headers=headers).raise_for_status()

    def calls(self, method: str = "PATCH") -> list[str]:
        """The last part of the path of each request so far."""
        logged = self.data.with_suffix(".log").read_text()
        return re.findall(rf"(?m)^{method} \S+/(\S+) \d+", logged)


@frozen
class Ending:
    """An emulator that was told to end, what it logs, and the test that it was of."""

    process: subprocess.Popen[str]
    log: TextIO
    test: str

    def reap(self) -> None:
        """Wait for it. It has to end with 0, without a traceback, and without the key in what it still wrote."""
        assert self.process.stdout is not None
        with self.log, self.process:
            rest = self.process.stdout.read()
            code = self.process.wait(10)
            self.log.seek(0)
            logged = self.log.read()
        assert (code, "Traceback" in logged) == (0, False), (self.test, logged)
        assert not leaks([rest, logged]), self.test


# An emulator takes a fifth of a second to end, which nobody has to wait for.
_ending: list[Ending] = []


def reap_emulators(but: int = 0) -> None:
    """Wait for all emulators that were told to end, but for the last ones."""
    while len(_ending) > but:
        _ending.pop(0).reap()


@contextmanager
def running_emulator(
    directory: Path,
    streams: Streams,
    sources: Mapping[str, Any] | list[Any],
    *options: str,
    **others: Sequence[Any],
) -> Iterator[Emulator]:
    """An emulator with these sources and `others`, such as experiments, and limits that no test comes near.

    How it ends is looked at some tests later.
    """
    data = directory / "emulator.json"
    data.write_text(json.dumps({"assignment_source": list(sources), **others}))
    limits = ("--per-10-seconds", "100000", "--per-15-minutes", "100000")
    command = [str(STATFORM), "emulator", "--data", str(data), "--log", *limits, *options]
    log = data.with_suffix(".log").open("w+")
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
    line = ""
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("Console API on http://127.0.0.1:"), (line, Path(log.name).read_text())
        yield Emulator(process, line.split()[-1], data)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        streams.note(line, Path(log.name).read_text())
        _ending.append(Ending(process, log, os.environ["PYTEST_CURRENT_TEST"]))
        reap_emulators(but=20)
