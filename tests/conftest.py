from __future__ import annotations

import gc
import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, nullcontext
from itertools import islice
from pathlib import Path

import forkserver
import pytest
import shared_tls
import stores
from canary import KEY, leaks
from command import Project, Streams, reap_emulators, running_emulator
from hypothesis import HealthCheck, settings

from state import advice

# A shell starts what it runs in the background deaf to Ctrl-C, and so would be all commands that tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if not os.environ.get("STATFORM_REAL"):
    forkserver.install()
    shared_tls.share_contexts()

# CI judges a change, not the luck of a day: there every run has the same examples.
# No test asks how fast the machine is: it may be busy with other work.
settings.register_profile("any day", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("same", settings.get_profile("any day"), derandomize=True)
settings.load_profile("same" if os.environ.get("CI") else "any day")
# Elsewhere each run has others, so that who waits for it can have fewer of them at a time.
HAS_ALL_EXAMPLES = any(map(os.environ.get, ("CI", "STATFORM_ALL_EXAMPLES", "STATFORM_REAL", "STATFORM_SOAK")))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not HAS_ALL_EXAMPLES:
        _take_fewer_examples(items)
    items[:] = _long_ones_first(items, int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))


def _take_fewer_examples(items: Sequence[pytest.Item]) -> None:
    """Give each property two fifths of its examples, 40 at least."""
    properties = {getattr(item.obj, "__func__", item.obj) for item in items if isinstance(item, pytest.Function)}
    for test in properties:
        if (found := getattr(test, "_hypothesis_internal_use_settings", None)) is not None and found.max_examples > 40:
            test._hypothesis_internal_use_settings = settings(found, max_examples=max(40, found.max_examples * 2 // 5))


def _long_ones_first(items: Sequence[pytest.Item], workers: int) -> list[pytest.Item]:
    """Each worker begins with a part of them: one that began last would keep all the others waiting."""
    long = [item for item in items if item.get_closest_marker("long")]
    others = iter([item for item in items if not item.get_closest_marker("long")])
    found: list[pytest.Item] = []
    for n in range(workers):
        mine = long[n::workers]
        # As `--dist worksteal` divides them.
        size = (len(items) - len(found)) // (workers - n)
        found += [*mine, *islice(others, max(0, size - len(mine)))]
    return found


def pytest_collection_finish() -> None:
    """What was loaded and collected stays to the end, so that no collection of garbage has to look through it."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """What `-n auto` is: twice the cores, for tests wait too; with many cores no more than there is work for."""
    cores = os.cpu_count() or 1
    return min(2 * cores, max(cores, 16))


def pytest_configure(config: pytest.Config) -> None:
    # A worker has its master's.
    if not hasattr(config, "workerinput"):
        home = stores.home()
        home.__enter__()
        config.add_cleanup(lambda: home.__exit__(None, None, None))


@pytest.fixture(scope="session")
def postgres() -> stores.Server:
    return stores.shared("postgres")


@pytest.fixture(scope="session")
def pgbouncer() -> stores.Server:
    return stores.shared("pgbouncer")


@pytest.fixture(scope="session")
def moto() -> stores.Server:
    return stores.shared("moto")


@pytest.fixture(scope="session")
def azurite() -> stores.Server:
    return stores.shared("azurite")


@pytest.fixture(autouse=True)
def processes(request: pytest.FixtureRequest) -> Iterator[None]:
    """Forks, unless the test is marked `real`."""
    with forkserver.real_processes() if request.node.get_closest_marker("real") else nullcontext():
        yield


@pytest.fixture(autouse=True)
def nothing_given() -> Iterator[None]:
    """What a command line in this process was given, no later test advises."""
    yield
    advice.given.directory, advice.given.environment = "", None


@pytest.fixture
def streams():
    return Streams()


@pytest.fixture(scope="session")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[set[Path]]:
    """The tests' own directories, which were searched when each ended; those that tests share are at the end."""
    found: set[Path] = set()
    yield found
    reap_emulators()
    # pytest keeps a link to each test's directory as well.
    here = tmp_path_factory.getbasetemp().iterdir()
    shared = [path for path in here if path not in found and not path.is_symlink()]
    assert not leaks([], (file for path in shared for file in path.rglob("*")))


@pytest.fixture(autouse=True)
def no_key_leaks(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, streams: Streams, searched: set[Path]
) -> Iterator[None]:
    """Nothing that a process or a test writes, to a stream or to a file, ever holds the API key, in whatever form."""
    communicate = subprocess.Popen.communicate

    def noting(self, *arguments, **options):
        streams.note(*(written := communicate(self, *arguments, **options)))
        streams.note_end(self, written[1])
        return written

    monkeypatch.setattr(subprocess.Popen, "communicate", noting)
    directory = request.getfixturevalue("tmp_path") if "tmp_path" in request.fixturenames else None
    yield
    assert not leaks(streams.texts, directory.rglob("*") if directory else ())
    if directory:
        searched.add(directory)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):
    report = yield
    if report.passed and (found := leaks([report.capstdout, report.capstderr, report.caplog])):
        report.outcome, report.longrepr = "failed", f"the test wrote the API key: {found}"
    if report.failed and (ran := item.funcargs.get("streams")) and ran.ends:
        report.sections.append(("commands", "\n".join(ran.ends[-10:])))
        if crash := getattr(report.longrepr, "reprcrash", None):
            crash.message = f"{crash.message.partition(chr(10))[0]} (the last command: {ran.ends[-1]})"
    return report


@pytest.fixture
def project(tmp_path, streams):
    """An empty directory, and the installed command to be run in it, with nothing of our environment."""
    directory, home = tmp_path / "project", tmp_path / "home"
    directory.mkdir()
    home.mkdir()
    environ = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(home), "LANG": "C.UTF-8", "STATSIG_API_KEY": KEY}
    return Project(directory, streams, environ)


@pytest.fixture
def emulator(tmp_path, project, streams):
    """Starts `statform emulator` with these sources and options; the project's commands go there from then on."""
    with ExitStack() as running:

        def start(*sources, options=(), experiments=()):
            found = running.enter_context(
                running_emulator(tmp_path, streams, sources, *options, experiments=experiments)
            )
            project.environ["STATSIG_BASE_URL"] = found.url
            return found

        yield start
