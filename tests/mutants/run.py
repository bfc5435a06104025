"""Changes the code that must not be wrong, one small change at a time, and tells which changes no test notices.

    python tests/mutants/run.py
    python tests/mutants/run.py planner/plan/diff.py state/journal.py

mutmut makes the mutants. They are run here and not by its own command, which collects all tests anew for each: this
process collects once, notes which tests get to which functions, and forks for every mutant; the child runs those,
the quickest first, until one fails. Survivors are argued in survivors.md beside this file, by function and changed
line; one that is not argued there, or an argument without a mutant, ends the run with exit code 1.
"""

from __future__ import annotations

import difflib
import os
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from _pytest.runner import runtestprotocol
from attrs import define, field, frozen
from hypothesis import HealthCheck, Phase, settings
from mutmut.mutation.file_mutation import mutate_file_contents
from mutmut.mutation.trampoline import set_mutant_under_test
from mutmut.state import state

ROOT = Path(__file__).parents[2]
SURVIVORS = Path(__file__).with_name("survivors.md")
# Which tests have to notice: those that run in this process, quickly.
MODULES = {
    "planner/plan/diff.py": ("plan/test_diff", "plan/test_build", "render/test_golden"),
    "planner/console/answers.py": (
        "console/test_answers",
        "console/test_client",
        "plan/test_diff",
        "apply/test_resolve",
    ),
    "planner/plan/moves.py": ("plan/test_moves", "plan/test_build"),
    "planner/plan/order.py": ("plan/test_order", "plan/test_build", "render/test_golden"),
    "planner/pacing.py": ("test_pacing",),
    "planner/apply/sending/resolve.py": ("apply/test_resolve",),
    "planner/console/client.py": ("console/test_calls", "console/test_client"),
    "planner/console/transport.py": ("console/test_calls", "console/test_client"),
    "planner/apply/sending/send.py": ("apply/test_send",),
    "planner/apply/sending/intents.py": ("apply/test_intents", "apply/test_line_ends", "apply/test_send"),
    "planner/apply/sending/tally.py": ("apply/test_send",),
    "planner/apply/sending/waits.py": ("apply/test_send",),
    "planner/escape.py": ("render/test_plan_text", "render/test_golden"),
    "state/records.py": ("state/test_records", "state/test_journal", "state/test_snapshot"),
    "state/chain.py": ("state/test_journal", "state/test_store"),
    "state/journal.py": ("state/test_journal", "state/test_store"),
    "state/snapshot.py": ("state/test_snapshot", "state/test_store"),
    "state/fold.py": ("state/test_snapshot", "state/test_store"),
    "state/places/local.py": ("state/test_store",),
    "state/places/local_writer.py": ("state/test_store",),
    "state/reader.py": ("state/test_store", "state/test_shared"),
    "state/runs.py": ("state/test_shared",),
    "state/session.py": ("state/test_store", "state/test_shared"),
    "state/store.py": ("state/test_store", "state/test_shared"),
}
# Of the client and what is under it, what makes an outcome of an answer or of none.
PARTS = {
    "planner/console/client.py": tuple(f"Client.{name}" for name in ("send", "_classify", "_data")),
    "planner/console/transport.py": (
        *(f"Transport.{name}" for name in ("request", "exchange", "_send", "message", "reason")),
        *("_read", "is_certificate", "reason_of"),
    ),
}
# They measure time, start processes, or try each bit of a file where a mutant has long been seen by others.
LEFT_OUT = (
    "tests/apply/test_send.py::test_two_thousand_requests_never_exceed_a_limit_of_the_api",
    "tests/console/test_client.py::test_each_exchange_has_the_whole_of_its_time",
    "tests/plan/test_build.py::test_the_same_input_gives_the_same_plan_to_the_byte_in_every_process",
    "tests/render/test_plan_text.py::test_long_texts_take_little_time",
    "tests/state/test_store.py::test_a_reader_beside_a_writer_always_sees_a_state_that_was_true_once",
    "tests/state/test_store.py::test_every_flipped_bit_is_refused_or_harmless",
)
EXAMPLES = 40
"""As many as a property test tries at most: enough for a mutant that it would ever find."""
MEMORY = 3 * 2**30


@frozen
class Mutant:
    """`function` is as mutmut mangles it, `change` the lines that differ, each with - or + before it."""

    module: str
    key: str
    function: str
    change: tuple[str, ...]

    @property
    def title(self) -> str:
        return f"{self.module} {self.name}"

    @property
    def name(self) -> str:
        mangled = self.function.rpartition(".")[2]
        return mangled.removeprefix("xǁ").replace("ǁ", ".").removeprefix("x_")

    def __str__(self) -> str:
        return "\n".join((self.title, *(f"    {line}" for line in self.change)))


def mutate(module: str) -> list[Mutant]:
    """Write the module with all its mutants, and what chooses between them, in its place in the working directory."""
    made = mutate_file_contents(module, (ROOT / module).read_text(encoding="utf-8"))
    Path(module).write_text(made.code, encoding="utf-8")
    lines = made.code.splitlines()
    dotted = module.removesuffix(".py").removesuffix("/__init__").replace("/", ".")

    def source(name: str) -> list[str]:
        span = made.line_span_by_function_name[name]
        return [line.replace(name, "", 1).rstrip() for line in lines[span.start - 1 : span.end]]

    mutants = []
    for name in made.mutant_names:
        function = name.rpartition("__mutmut_")[0]
        differs = difflib.ndiff(source(f"{function}__mutmut_orig"), source(name))
        change = tuple(re.sub(r"\s+", " ", line) for line in differs if line[0] in "-+")
        mutants.append(Mutant(module, f"{dotted}.{name}", f"{dotted}.{function}", change))
    return [mutant for mutant in mutants if mutant.name in PARTS.get(module, [mutant.name])]


@define
class Runner:
    """A pytest plugin: instead of running the tests once, it runs them once for the record, then for each mutant."""

    mutants: list[Mutant]
    verdicts: dict[Mutant, str] = field(factory=dict)
    reaching: dict[str, list[pytest.Item]] = field(factory=lambda: defaultdict(list))
    seconds: dict[pytest.Item, float] = field(factory=dict)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            test = getattr(item.obj, "__func__", item.obj)
            if (found := getattr(test, "_hypothesis_internal_use_settings", None)) is not None:
                fewer = settings(found, max_examples=min(found.max_examples, EXAMPLES))
                test._hypothesis_internal_use_settings = fewer

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        set_mutant_under_test("stats")
        for item, following in zip(session.items, [*session.items[1:], None], strict=True):
            started = time.monotonic()
            failure = _failure(item, following)
            self.seconds[item] = time.monotonic() - started
            if failure is not None:
                raise pytest.UsageError(f"{item.nodeid} fails without any mutant:\n{failure}")
            for function in state()._stats:
                self.reaching[function].append(item)
            state()._stats.clear()
        for items in self.reaching.values():
            items.sort(key=self.seconds.__getitem__)
        # As the mutants are run, in another order and in a child: what fails there by itself would kill them all.
        if self._verdict("", sorted(session.items, key=self.seconds.__getitem__)) != "survived":
            raise pytest.UsageError("without any mutant the tests fail in a child")
        for n, mutant in enumerate(self.mutants, start=1):
            _tell(f"{n}/{len(self.mutants)} {mutant.title}")
            self.verdicts[mutant] = self._try(mutant)
        return True

    def _try(self, mutant: Mutant) -> str:
        tests = [f"tests/{name}.py" for name in MODULES[mutant.module]]
        items = [item for item in self.reaching.get(mutant.function, ()) if item.nodeid.partition("::")[0] in tests]
        return self._verdict(mutant.key, items) if items else "not reached"

    def _verdict(self, key: str, items: list[pytest.Item]) -> str:
        pid = os.fork()
        if not pid:
            self._run_child(key, items)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        return {0: "survived", -signal.SIGALRM: "timeout"}.get(code, "killed")

    def _run_child(self, key: str, items: list[pytest.Item]) -> None:
        is_killed = True
        try:
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
            set_mutant_under_test(key)
            is_killed = any(self._is_failing(item, then) for item, then in zip(items, [*items[1:], None], strict=True))
        finally:
            os._exit(is_killed)

    def _is_failing(self, item: pytest.Item, following: pytest.Item | None) -> bool:
        signal.alarm(int(10 * self.seconds[item]) + 4)
        return _failure(item, following) is not None


def _failure(item: pytest.Item, following: pytest.Item | None) -> str | None:
    reports = runtestprotocol(item, log=False, nextitem=following)
    return next((report.longreprtext for report in reports if report.failed), None)


def _tell(text: str) -> None:
    print(f"\r\x1b[K{text}" if sys.__stderr__.isatty() else text, end="", file=sys.__stderr__, flush=True)


def run(modules: list[str], folder: Path) -> dict[Mutant, str]:
    for name in ("planner", "state", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    os.environ.pop("CI", None)
    # A mutant is killed by any failure, of which the smallest takes long to find; being slow is none.
    settings.register_profile(
        "mutants",
        derandomize=True,
        database=None,
        deadline=None,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )
    runner = Runner([mutant for module in modules for mutant in mutate(module)])
    tests = sorted({f"tests/{name}.py" for module in modules for name in MODULES[module]})
    options = ["--hypothesis-profile=mutants", "--assert=plain", "--tb=native", "--quiet", "--capture=sys"]
    options += ["-p", "no:cacheprovider", "-p", "no:xdist", "-o", "tmp_path_retention_policy=none"]
    options += [f"--deselect={test}" for test in LEFT_OUT]
    code = pytest.main([*options, *tests], plugins=[runner])
    if code not in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}:
        sys.exit(int(code))
    return runner.verdicts


def arguments(text: str) -> Counter[str]:
    """The survivors that the file argues, each as `str` of its Mutant: its function, then its change, indented."""
    return Counter(_entries(text))


def _entries(text: str) -> Iterator[str]:
    title, change = "", []
    for line in [*text.splitlines(), ""]:
        if line.startswith("    "):
            change.append(line)
        elif change:
            yield "\n".join((title, *change))
            change = []
        if line.startswith("## "):
            title = line.removeprefix("## ")


def main() -> int:
    modules = sys.argv[1:] or list(MODULES)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        verdicts = run(modules, Path(folder).resolve())
        os.chdir(ROOT)
    argued = arguments(SURVIVORS.read_text(encoding="utf-8"))
    alive = Counter(str(mutant) for mutant, verdict in verdicts.items() if verdict in {"survived", "not reached"})
    print(f"\n{'module':28} mutants  killed  timeout  survived  not reached")
    for module in [*modules, "all"]:
        counts = Counter(verdict for mutant, verdict in verdicts.items() if module in {mutant.module, "all"})
        cells = (counts.total(), counts["killed"], counts["timeout"], counts["survived"], counts["not reached"])
        print("{:28} {:7}  {:6}  {:7}  {:8}  {:11}".format(module, *cells))
    print(f"in {time.monotonic() - started:.0f} s")
    silent = alive - argued
    # That one which is argued was killed is no news: a busy machine can do that.
    made = Counter(map(str, verdicts))
    gone = Counter({text: n for text, n in (argued - made).items() if text.split()[0] in modules})
    for what, texts in (("Survived, not argued", silent), ("Argued, but made no more", gone)):
        for text in texts.elements():
            print(f"\n{what}: {text}")
    return 1 if silent or gone else 0


if __name__ == "__main__":
    sys.exit(main())
