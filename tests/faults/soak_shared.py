"""Three writers of one shared state that are killed, stand still and are lied to, on a real server.

    python tests/faults/soak_shared.py postgres --seconds 300
    python tests/faults/soak_shared.py moto --seconds 300
    python tests/faults/soak_shared.py ceph --seconds 300

Each writer is the installed command in a folder of its own, again and again, with three changes that nobody else makes.
Meanwhile one is killed or stopped at random, its connections break before and after the server has got what it asked,
and the API applies a change without an answer, or loses it. In the end must hold:

    chain    the journal is one chain, and makes the state
    intent   each change that the API made has a record of before, in the same order, and was made once
    kept     what a writer told as done is in the journal
    settled  one more apply, without a fault, leaves state, remote and definitions alike
    codes    a writer ends well, or says that running it again is safe, or was killed
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
from attrs import define, field

TESTS = Path(__file__).parents[1]
sys.path.insert(0, str(TESTS / "support"))

import ceph  # noqa: E402
import distant  # noqa: E402
import lossy  # noqa: E402
import quickly  # noqa: E402
import s3proxy  # noqa: E402
import stores  # noqa: E402

from state import journal  # noqa: E402
from state.records import Applied, Begin, End, Intent  # noqa: E402

STATFORM = str(Path(sys.executable).with_name("statform"))
ENGINES = {"postgres": stores.postgres, "moto": stores.moto, "ceph": ceph.ceph}
KEYS = ("one", "two", "three")
WRITERS = 3
JOURNAL = "statform.state.journal.jsonl"
UPDATED = re.compile(r"(?m)^assignment_source\.(\w+): updated \(")


@define
class Writer:
    """One folder, and the process that is at work in it."""

    folder: Path
    process: subprocess.Popen[str] | None = None
    wanted: Mapping[str, str] = field(factory=dict)
    stopped_until: float = 0.0
    count: int = 0


@define
class Soak:
    chance: random.Random
    environ: Mapping[str, str]
    writers: list[Writer]
    applied: list[str] = field(factory=list)
    told: list[str] = field(factory=list)
    did: Counter[str] = field(factory=Counter)
    violations: list[str] = field(factory=list)

    def go_on(self, until: float) -> None:
        while time.monotonic() < until:
            for writer in self.writers:
                self._see_to(writer)
            time.sleep(0.1)
            if self.chance.random() < 0.04:
                self._disturb(self.chance.choice(self.writers))
        for writer in self.writers:
            self._wake(writer)
            if writer.process is not None:
                self._end(writer)

    def _see_to(self, writer: Writer) -> None:
        if writer.stopped_until and time.monotonic() > writer.stopped_until:
            self._wake(writer)
        if writer.process is not None and writer.process.poll() is not None:
            self._end(writer)
        if writer.process is None:
            self._start(writer)

    def _start(self, writer: Writer) -> None:
        writer.count += 1
        writer.wanted = {key: f"{writer.folder.name}-{writer.count}-{key}" for key in KEYS}
        define_sources(writer.folder, writer.wanted)
        words = [sys.executable, str(TESTS / "support" / "quickly.py"), STATFORM, "apply", "--auto-approve"]
        writer.process = subprocess.Popen(
            words, cwd=writer.folder, env=self.environ, stdout=-1, stderr=-1, stdin=subprocess.DEVNULL, text=True
        )

    def _disturb(self, writer: Writer) -> None:
        if writer.process is None or writer.process.poll() is not None:
            return
        if self.chance.random() < 0.5:
            self._wake(writer)
            writer.process.kill()
            self.did["killed"] += 1
        elif not writer.stopped_until:
            writer.process.send_signal(signal.SIGSTOP)
            writer.stopped_until = time.monotonic() + self.chance.uniform(0.1, 1.5 * quickly.LEASE_S)
            self.did["stopped"] += 1

    def _wake(self, writer: Writer) -> None:
        if writer.process is not None and writer.stopped_until:
            writer.process.send_signal(signal.SIGCONT)
        writer.stopped_until = 0.0

    def _end(self, writer: Writer) -> None:
        assert writer.process is not None
        out, err = writer.process.communicate(timeout=120)
        code, writer.process = writer.process.returncode, None
        self.told += [writer.wanted[key] for key in UPDATED.findall(out + err)]
        self.did[_kind(code, err)] += 1
        if code not in (0, 3, -signal.SIGKILL):
            self.violations.append(f"codes: {writer.folder.name} ended with {code}: {err}")

    def check(self, folder: Path) -> None:
        """What must hold, once nobody is at work."""
        define_sources(folder, {key: f"last-{key}" for key in KEYS})
        for words in (["apply", "--auto-approve"], ["plan", "--detailed-exitcode"], ["audit"], ["history", "--verify"]):
            command = [sys.executable, str(TESTS / "support" / "quickly.py"), STATFORM, *words]
            done = subprocess.run(command, cwd=folder, env=self.environ, capture_output=True, text=True, check=False)
            if done.returncode:
                self.violations.append(f"settled: {words} ended with {done.returncode}: {done.stdout}{done.stderr}")
        subprocess.run([STATFORM, "state", "pull"], cwd=folder, env=self.environ, check=True, capture_output=True)
        self._check_journal(folder / JOURNAL)

    def _check_journal(self, file: Path) -> None:
        records = [record for _, record in journal.decode(file.read_bytes(), str(file))]
        self.did["records"] = len(records)
        self.did["taken over"] = sum(isinstance(one, End) and one.status == "recovered" for one in records)
        self.did["runs"] = sum(isinstance(one, Begin) for one in records)
        intents = [str(one.sent["description"]) for one in records if isinstance(one, Intent)]
        kept = {str(one.data["description"]) for one in records if isinstance(one, Applied)}
        kept |= {str(one.data["description"]) for one in records if getattr(one, "verdict", "") == "applied"}
        self.did["changes made"] = len(self.applied)
        if twice := [one for one, count in Counter(self.applied).items() if count > 1]:
            self.violations.append(f"intent: made twice: {twice}")
        rest = iter(intents)
        if lost := [one for one in self.applied if one not in rest]:
            self.violations.append(f"intent: without a record of before, or out of order: {lost}")
        if lost := [one for one in self.told if one not in kept]:
            self.violations.append(f"kept: told as done, and not in the journal: {lost}")


def _kind(code: int, err: str) -> str:
    for words in ("state is in use", "the state changed", "took this one for dead", "no answer for", "went by between"):
        if code == 3 and words in err:
            return f"3, {words}"
    return {0: "ended well", -signal.SIGKILL: "died"}.get(code, f"code {code}")


def define_sources(folder: Path, wanted: Mapping[str, str]) -> None:
    settings = folder / "statform.toml"
    shared = re.findall(r"(?m)^shared = .*$", settings.read_text()) if settings.exists() else []
    pacing = "[statform.pacing]\nper_10_seconds = 1000000\nper_15_minutes = 1000000\n"
    sources = (f'[assignment_source.{key}]\ndescription = "{value}"\n' for key, value in wanted.items())
    settings.write_text("\n".join(["[statform]", *shared, pacing, *sources]))


@contextmanager
def engine(name: str, chance: random.Random) -> Iterator[tuple[dict[str, str], Callable[[bool], None]]]:
    """What the environment says of a server that lies, and what switches that on and off."""
    with ExitStack() as stack:
        folder = stack.enter_context(stores.a_folder())
        server = stack.enter_context(ENGINES[name](folder))
        if name == "postgres":
            url = urlsplit(server.url)
            line = stack.enter_context(distant.before(url.port or 0))
            environ = {"STATFORM_STATE": f"{server.url.replace(f':{url.port}', f':{line.port}')}#soak"}
            yield environ, lambda lies: _lie_in_postgres(line, chance if lies else None)
        else:
            endpoint = server.environ["AWS_ENDPOINT_URL"]
            if name == "moto":
                httpx.put(f"{endpoint}/bucket", trust_env=False).raise_for_status()
            proxy = stack.enter_context(s3proxy.before(endpoint))
            environ = {**server.environ, "AWS_ENDPOINT_URL": proxy.url, "STATFORM_STATE": "s3://bucket/soak"}
            yield environ, lambda lies: _lie_as_s3(proxy, chance if lies else None)


def _lie_in_postgres(line: distant.Line, chance: random.Random | None) -> None:
    def maybe(_number: int) -> None:
        if chance is not None:
            drawn = chance.random()
            if drawn < 0.02:
                raise distant.Cut
            if drawn < 0.04:
                time.sleep(chance.uniform(0, 1.5))

    line.asked = line.answered = maybe


def _lie_as_s3(proxy: s3proxy.Proxy, chance: random.Random | None) -> None:
    def maybe(answers: list[int]) -> Callable[[int, str], int | None]:
        def lie(_number: int, _what: str) -> int | None:
            if chance is None:
                return None
            drawn = chance.random()
            if drawn < 0.02:
                return chance.choice(answers)
            if drawn < 0.04:
                time.sleep(chance.uniform(0, 1.5))
            return None

        return lie

    # Not carried out, and carried out without an answer that tells so.
    proxy.before, proxy.after = maybe([409, 500, 503]), maybe([0, 20, 409, 412, 500])


def soak(name: str, seconds: float) -> Soak:
    """Go on for so long; what came of it. A seed would not repeat it: the processes go at their own pace."""
    chance = random.Random()
    fates = chance.choices(["answered", "lost after applying", "lost before applying"], [90, 5, 5], k=100_000)
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="statform-soak-")))
        state, lies = stack.enter_context(engine(name, chance))
        sources = {"assignment_source": {key: {"name": key, "description": "first"} for key in KEYS}}
        api = stack.enter_context(lossy.serve(sources, fates))
        kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
        environ = {**kept, "STATSIG_BASE_URL": api.url, "STATSIG_API_KEY": "console-x", **state}
        found = Soak(chance, environ, [Writer(root / f"w{n}") for n in range(WRITERS)])
        watch(api, found.applied)
        first = root / "first"
        first.mkdir()
        define_sources(first, dict.fromkeys(KEYS, "first"))
        for words in (["import", "--all"], ["state", "push"]):
            place = {**environ} if words[0] == "state" else {k: v for k, v in environ.items() if k != "STATFORM_STATE"}
            subprocess.run([STATFORM, *words], cwd=first, env=place, check=True, capture_output=True)
        for writer in found.writers:
            writer.folder.mkdir()
            (writer.folder / "statform.toml").write_text((first / "statform.toml").read_text())
        lies(True)
        found.go_on(time.monotonic() + seconds)
        lies(False)
        api.fates.clear()
        (last := root / "last").mkdir()
        (last / "statform.toml").write_text((first / "statform.toml").read_text())
        found.check(last)
        return found


def watch(api: lossy.LossyApi, applied: list[str]) -> None:
    """Keep the description that each PATCH gave to a source, in the order in which they were carried out."""
    answer = api.project.answer

    def watched(call: lossy.Call, now: float) -> object:
        found = answer(call, now)
        if call.method == "PATCH" and found.status == 200:
            applied.append(str(json.loads(call.body)["description"]))
        return found

    api.project.answer = watched


def told(name: str, seconds: float, found: Soak) -> str:
    """What came of it, in lines."""
    did = ", ".join(f"{what}: {count}" for what, count in sorted(found.did.items()))
    return "\n".join([f"{name}, {seconds:.0f} s: {did}", *(found.violations or ["no violation"])])


def main() -> int:
    parser = argparse.ArgumentParser(description="Three writers of a shared state, killed, stopped and lied to.")
    parser.add_argument("engine", choices=ENGINES)
    parser.add_argument("--seconds", type=float, default=300.0)
    options = parser.parse_args()
    found = soak(options.engine, options.seconds)
    print(told(options.engine, options.seconds, found))  # noqa: T201
    return 1 if found.violations else 0


if __name__ == "__main__":
    sys.exit(main())
