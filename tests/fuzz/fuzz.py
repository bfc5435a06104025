"""Looks for bytes that break a promise of tests/support/targets.py, led by the code that they reach.

    python tests/fuzz/fuzz.py --seconds 600
    python tests/fuzz/fuzz.py --seconds 600 --target plans
    python tests/fuzz/fuzz.py --target plans --again FILE

The time is shared by the targets. Half of a target's goes to atheris, which changes bytes; half to hypothesis, which
draws what is nearly right, led by atheris too. What breaks a promise is kept in tests/fuzz/corpus, from where the suite
tries it ever after; a target ends with it. What reached new code is kept in .fuzz, and the next run starts there.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import atheris

TESTS = Path(__file__).parents[1]
FOUND = TESTS.parent / ".fuzz"
WAYS = ("bytes", "shapes")
sys.path.insert(0, str(TESTS / "support"))

# The process that only divides the time has no use for it.
is_led = "--way" in sys.argv
with atheris.instrument_imports(include=["planner", "state"]) if is_led else nullcontext():
    from hypothesis import HealthCheck, given, settings
    from targets import CORPUS, TARGETS, Target, check_cost, kept


def keeping(name: str, target: Target) -> Callable[[bytes], None]:
    """The target's check, which keeps what fails it."""

    def check(data: bytes) -> None:
        try:
            check_cost(target.check, data)
        except BaseException:
            path = CORPUS / name / hashlib.sha256(data).hexdigest()[:12]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            print(f"\nKept: {path}", flush=True)  # noqa: T201
            raise

    return check


def fuzz(name: str, way: str, seconds: int) -> None:
    """Does not return: the process ends when the time is over, or with what was found."""
    target = TARGETS[name]
    check = keeping(name, target)
    folder = FOUND / way / name
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as work:
        seeds, words = Path(work, "seeds"), Path(work, "words")
        seeds.mkdir()
        escaped = ("".join(f"\\x{byte:02x}" for byte in word) for word in target.words)
        words.write_text("".join(f'"{word}"\n' for word in escaped if word))
        if way == "shapes":
            run = given(target.inputs())(check)
            run = settings(database=None, deadline=None, suppress_health_check=list(HealthCheck))(run)
            entry = run.hypothesis.fuzz_one_input
        else:
            entry = check
            for number, data in enumerate([*target.seeds(), *(path.read_bytes() for path in kept(name))]):
                (seeds / str(number)).write_bytes(data)
        options = [f"-max_total_time={seconds}", f"-dict={words}", "-max_len=8192", "-timeout=60", "-rss_limit_mb=1024"]
        atheris.Setup([sys.argv[0], *options, f"-artifact_prefix={work}/", str(folder), str(seeds)], entry)
        atheris.Fuzz()


def run(name: str, way: str, seconds: int) -> tuple[int, int, bool]:
    """How many inputs were tried and how many edges of the code reached, and whether all kept the promise."""
    command = [sys.executable, __file__, "--target", name, "--way", way, "--seconds", str(seconds)]
    ended = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    lines = re.findall(r"(?m)^#(\d+)\s.*?cov: (\d+)", ended.stderr)
    tried, reached = (int(number) for number in (lines or [("0", "0")])[-1])
    is_well = ended.returncode == 0 and tried > 0
    if not is_well:
        print(ended.stdout[-8000:], ended.stderr[-2000:], sep="\n", flush=True)  # noqa: T201
    return tried, reached, is_well


def main() -> int:
    parser = argparse.ArgumentParser(
        description="Look for input that breaks a promise, led by the code that it reaches."
    )
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--target", choices=TARGETS)
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--again", type=Path, metavar="FILE", help="try this input alone")
    options = parser.parse_args()
    if options.again:
        check_cost(TARGETS[options.target].check, options.again.read_bytes())
        return 0
    if options.way:
        fuzz(options.target, options.way, options.seconds)
    names = [options.target] if options.target else list(TARGETS)
    share = max(1, options.seconds // len(names) // len(WAYS))
    are_well, started = True, time.monotonic()
    for name in names:
        results = [run(name, way, share) for way in WAYS]
        tried, reached = sum(one[0] for one in results), max(one[1] for one in results)
        is_well = all(one[2] for one in results)
        are_well &= is_well
        verdict = "no promise broken" if is_well else "FAILED"
        print(f"{name}: {tried:,} inputs, {reached:,} edges reached, {verdict}", flush=True)  # noqa: T201
    print(f"{time.monotonic() - started:.0f} s")  # noqa: T201
    return 0 if are_well else 1


if __name__ == "__main__":
    sys.exit(main())
