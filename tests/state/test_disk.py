import errno
import fcntl
import itertools
import os
import signal
import socket
import stat
import subprocess
import sys

import pytest

from state.errors import Damaged, LockHeld, ReadFailed, WriteFailed
from state.places import durable
from state.places.disk import LocalDisk, read

NAME, TEMPORARY, LOCK = "x.json", "x.tmp", "x.lock"


@pytest.fixture
def disk(tmp_path):
    local = LocalDisk(tmp_path)
    yield local
    local.release()


@pytest.fixture
def other(tmp_path):
    local = LocalDisk(tmp_path)
    yield local
    local.release()


def mode_of(path):
    return stat.S_IMODE(path.stat().st_mode)


def fails(number):
    def fail(*_, **__):
        raise OSError(number, os.strerror(number))

    return fail


def test_a_replaced_file_is_read_back_from_any_offset(disk, tmp_path):
    assert read(disk, NAME) is None
    durable.replace(disk, NAME, b"first", TEMPORARY)
    durable.replace(disk, NAME, b"second", TEMPORARY)
    assert (read(disk, NAME), read(disk, NAME, 3), read(disk, NAME, 99)) == (b"second", b"ond", b"")
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


def test_a_reader_with_the_old_file_open_keeps_the_old_content(disk, tmp_path):
    durable.replace(disk, NAME, b"first", TEMPORARY)
    with (tmp_path / NAME).open("rb") as file:
        durable.replace(disk, NAME, b"second", TEMPORARY)
        assert file.read() == b"first"


def test_appended_bytes_come_after_the_existing_ones(disk):
    durable.replace(disk, NAME, b"one\n", TEMPORARY)
    fd = durable.open_append(disk, NAME)
    durable.append(disk, NAME, fd, b"two\n")
    durable.append(disk, NAME, fd, b"three\n")
    disk.close(fd)
    assert read(disk, NAME) == b"one\ntwo\nthree\n"


@pytest.mark.parametrize("umask", [0o000, 0o077, 0o777])
def test_files_are_only_for_their_owner_with_any_umask(tmp_path, umask):
    before = os.umask(umask)
    try:
        disk = LocalDisk(tmp_path)
        durable.acquire(disk, LOCK, "pid 1")
        durable.replace(disk, NAME, b"data", TEMPORARY)
        disk.release()
    finally:
        os.umask(before)
    assert mode_of(tmp_path / NAME) == mode_of(tmp_path / LOCK) == 0o600


@pytest.mark.parametrize("short", [1, 3])
def test_a_short_write_is_continued(disk, monkeypatch, short):
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:short]))
    durable.replace(disk, NAME, b"some data", TEMPORARY)
    assert read(disk, NAME) == b"some data"


def test_a_write_that_makes_no_progress_fails_and_is_not_tried_for_ever(disk, monkeypatch):
    monkeypatch.setattr(os, "write", lambda fd, data: 0)
    with pytest.raises(WriteFailed):
        durable.replace(disk, NAME, b"data", TEMPORARY)


@pytest.mark.parametrize("call", ["open", "fchmod", "write", "fsync", "rename"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EROFS, errno.EACCES, errno.EDQUOT])
def test_a_replacement_that_the_system_refuses_leaves_the_old_file(disk, monkeypatch, call, number):
    durable.replace(disk, NAME, b"old", TEMPORARY)
    with monkeypatch.context() as patch:
        patch.setattr(os, call, fails(number))
        with pytest.raises(WriteFailed) as raised:
            durable.replace(disk, NAME, b"new", TEMPORARY)
    assert raised.value.cause.errno == number
    assert os.strerror(number) in str(raised.value)
    assert disk.path(NAME) in str(raised.value)
    assert read(disk, NAME) == b"old"


def test_a_replacement_never_writes_to_a_temporary_file_that_somebody_else_made(disk, tmp_path):
    (tmp_path / "elsewhere").write_bytes(b"precious")
    (tmp_path / TEMPORARY).symlink_to("elsewhere")
    with pytest.raises(WriteFailed):
        durable.replace(disk, NAME, b"data", TEMPORARY)
    assert (tmp_path / "elsewhere").read_bytes() == b"precious"


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP])
def test_a_file_system_that_can_not_sync_a_directory_is_accepted(disk, monkeypatch, number):
    monkeypatch.setattr(os, "fsync", fails(number))
    disk.sync_directory()


def test_a_directory_that_fails_to_sync_is_an_error(disk, monkeypatch):
    monkeypatch.setattr(os, "fsync", fails(errno.EIO))
    with pytest.raises(WriteFailed):
        durable.remove(disk, NAME)


@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES])
def test_the_error_names_a_file_that_the_system_refuses_to_read(disk, monkeypatch, number):
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", fails(number))
        with pytest.raises(ReadFailed, match=NAME):
            read(disk, NAME)


def test_the_error_names_a_missing_directory(tmp_path):
    with pytest.raises(ReadFailed, match="nowhere"):
        LocalDisk(tmp_path / "nowhere")


def make_symlink(path):
    path.symlink_to(path.parent / "target")
    (path.parent / "target").write_bytes(b"precious")


def make_socket(path):
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(path))


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (make_symlink, "a symbolic link"),
        (lambda path: path.symlink_to("nowhere"), "a symbolic link"),
        (os.mkfifo, "a named pipe"),
        (os.mkdir, "a directory"),
        (make_socket, "a socket or device"),
    ],
)
@pytest.mark.parametrize(
    "use",
    [
        lambda disk: read(disk, NAME),
        lambda disk: durable.open_append(disk, NAME),
        lambda disk: durable.acquire(disk, NAME, "note"),
    ],
    ids=["read", "append", "lock"],
)
def test_anything_but_a_regular_file_is_refused_without_waiting(disk, tmp_path, make, kind, use):
    make(tmp_path / NAME)
    signal.signal(signal.SIGALRM, lambda *_: pytest.fail("waits"))
    signal.alarm(5)
    try:
        with pytest.raises(Damaged, match=kind):
            use(disk)
    finally:
        signal.alarm(0)
    if (tmp_path / "target").exists():
        assert (tmp_path / "target").read_bytes() == b"precious"


def test_the_probe_leaves_no_file_behind(disk, tmp_path):
    durable.probe(disk, NAME, TEMPORARY)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("call", ["open", "write", "fsync", "unlink"])
def test_the_probe_finds_a_directory_that_can_not_be_written(disk, monkeypatch, call):
    monkeypatch.setattr(os, call, fails(errno.EROFS))
    with pytest.raises(ReadFailed if call == "open" else WriteFailed):
        durable.probe(disk, NAME, TEMPORARY)


def test_the_probe_replaces_the_file_with_its_own_content(disk, tmp_path):
    durable.replace(disk, NAME, b"data", TEMPORARY)
    before = (tmp_path / NAME).stat().st_ino
    durable.probe(disk, NAME, TEMPORARY)
    assert [path.name for path in tmp_path.iterdir()] == [NAME]
    assert (tmp_path / NAME).read_bytes() == b"data"
    assert (tmp_path / NAME).stat().st_ino != before


def test_the_probe_finds_a_file_that_can_not_be_replaced_although_others_can(disk, monkeypatch):
    """For example a file that is a mount, or that is immutable."""
    durable.replace(disk, NAME, b"data", TEMPORARY)
    monkeypatch.setattr(os, "rename", fails(errno.EBUSY))
    with pytest.raises(WriteFailed):
        durable.probe(disk, NAME, TEMPORARY)


@pytest.mark.parametrize("content", ["# This file is generated by Poetry\n", "{}", "precious"])
def test_a_lock_file_that_belongs_to_somebody_else_is_refused_and_kept(disk, tmp_path, content):
    (tmp_path / LOCK).write_text(content)
    with pytest.raises(Damaged, match="its content would be lost"):
        durable.acquire(disk, LOCK, "pid 1")
    assert (tmp_path / LOCK).read_text() == content
    assert not disk.holds_lock()


@pytest.mark.parametrize(
    "content", ["", "pi", "pid 1 on host", "pid 1 on host since then: apply\n", "\0\0\0\0", "pi\0\0"]
)
def test_a_note_that_a_crash_cut_short_does_not_prevent_the_lock(disk, tmp_path, content):
    (tmp_path / LOCK).write_text(content)
    durable.acquire(disk, LOCK, "pid 1")
    assert (tmp_path / LOCK).read_text() == "pid 1\n"


def test_a_lock_file_that_is_another_one_each_time_is_an_error_after_some_tries(disk, monkeypatch):
    numbers = itertools.count()
    monkeypatch.setattr(os.path, "samestat", lambda *_: next(numbers) < 0)
    with pytest.raises(WriteFailed, match="it is another file each time it is opened"):
        durable.acquire(disk, LOCK, "pid 1")
    assert next(numbers) < 100


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOTSUP])
def test_a_mount_without_permissions_can_be_written(disk, tmp_path, monkeypatch, number):
    monkeypatch.setattr(os, "fchmod", fails(number))
    durable.acquire(disk, LOCK, "pid 1")
    durable.replace(disk, NAME, b"data", TEMPORARY)
    assert (tmp_path / NAME).read_bytes() == b"data"


@pytest.mark.parametrize("number", [errno.ENOTSUP, errno.ENOTTY])
def test_a_macos_volume_without_a_full_sync_gets_a_plain_sync(disk, tmp_path, monkeypatch, number):
    synced = []
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(fcntl, "F_FULLFSYNC", 51, raising=False)
    monkeypatch.setattr(fcntl, "fcntl", fails(number))
    monkeypatch.setattr(os, "fsync", synced.append)
    durable.replace(disk, NAME, b"data", TEMPORARY)
    assert len(synced) == 2
    monkeypatch.setattr(fcntl, "fcntl", fails(errno.EIO))
    with pytest.raises(WriteFailed):
        durable.replace(disk, NAME, b"data", TEMPORARY)


def test_new_folders_are_only_for_their_owner_with_any_umask(tmp_path):
    before = os.umask(0)
    try:
        LocalDisk.made(f"{tmp_path}/a/b/c").release()
    finally:
        os.umask(before)
    assert [mode_of(tmp_path / name) for name in ("a", "a/b", "a/b/c")] == [0o700] * 3


def test_the_lock_tells_others_who_has_it_and_is_free_once_released(tmp_path, other):
    disk = LocalDisk(tmp_path)
    durable.acquire(disk, LOCK, durable.identify("apply", "2026-01-01T00:00:00.000Z"))
    with pytest.raises(LockHeld) as raised:
        durable.acquire(other, LOCK, "pid 2: other")
    assert not other.holds_lock()
    assert raised.value.holder == f"pid {os.getpid()} on {os.uname().nodename} since 2026-01-01T00:00:00.000Z: apply"
    disk.release()
    durable.acquire(other, LOCK, "pid 2: other")
    assert (tmp_path / LOCK).read_text() == "pid 2: other\n"


def test_a_note_can_not_control_the_terminal_of_its_reader(disk, other):
    durable.acquire(disk, LOCK, "pid \x1b[2J\x9b1m\u202e\n\x07b")
    with pytest.raises(LockHeld) as raised:
        durable.acquire(other, LOCK, "pid 2: other")
    assert raised.value.holder == "pid  [2J 1m   b"


def test_the_lock_dies_with_its_process(disk, tmp_path):
    code = (
        "import sys, pathlib, os\n"
        "from state.places.disk import LocalDisk\n"
        "from state.places.durable import acquire\n"
        "acquire(LocalDisk(pathlib.Path(sys.argv[1])), 'x.lock', 'pid 1: the dead')\n"
        "print('locked', flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "locked\n"
        with pytest.raises(LockHeld, match="the dead"):
            durable.acquire(disk, LOCK, "pid 2: the living")
        process.kill()
        process.wait()
        durable.acquire(disk, LOCK, "pid 2: the living")


@pytest.mark.parametrize("replace", [False, True])
def test_a_lock_file_that_was_removed_or_replaced_is_noticed(disk, tmp_path, replace):
    durable.acquire(disk, LOCK, "pid 1")
    assert disk.holds_lock()
    (tmp_path / LOCK).unlink()
    if replace:
        (tmp_path / LOCK).touch()
    assert not disk.holds_lock()


def test_a_lock_file_that_was_replaced_while_we_locked_it_is_locked_again(disk, tmp_path, monkeypatch):
    flock, replaced = fcntl.flock, []

    def flock_and_replace(fd, how):
        flock(fd, how)
        if not replaced:
            (tmp_path / LOCK).unlink()
            (tmp_path / LOCK).touch()
            replaced.append(True)

    monkeypatch.setattr(fcntl, "flock", flock_and_replace)
    durable.acquire(disk, LOCK, "pid 1")
    assert disk.holds_lock()
    assert (tmp_path / LOCK).read_text() == "pid 1\n"


def test_a_file_system_without_locks_is_an_error(disk, monkeypatch):
    monkeypatch.setattr(fcntl, "flock", fails(errno.ENOLCK))
    with pytest.raises(WriteFailed, match="lock"):
        durable.acquire(disk, LOCK, "pid 1")


def test_the_opened_directory_stays_the_same_even_if_its_path_changes(tmp_path):
    (tmp_path / "here").mkdir()
    disk = LocalDisk(tmp_path / "here")
    (tmp_path / "here").rename(tmp_path / "there")
    (tmp_path / "here").mkdir()
    durable.replace(disk, NAME, b"data", TEMPORARY)
    disk.release()
    assert (tmp_path / "there" / NAME).read_bytes() == b"data"
