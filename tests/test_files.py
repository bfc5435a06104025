"""The one writer of whole files: the old content or the new one, wherever it is interrupted, and nowhere else."""

from __future__ import annotations

import errno
import os
import stat
import threading
from pathlib import Path

import pytest

from planner import files
from planner.errors import UsageError
from planner.files import find_target, write_file, write_output


def permissions(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(autouse=True)
def usual_umask():
    before = os.umask(0o022)
    yield
    os.umask(before)


def test_two_at_once_both_succeed_and_one_of_them_is_there_whole(tmp_path):
    path = tmp_path / "page.html"
    texts = [letter * 200_000 for letter in "abcdefgh"]
    failures: list[Exception] = []

    def write(text: str) -> None:
        try:
            for _ in range(10):
                write_file(path, text)
                assert path.read_text() in texts
        except (OSError, AssertionError) as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(text,)) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert path.read_text() in texts
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


def test_the_unfinished_temporary_file_of_another_process_is_left_alone(tmp_path):
    (tmp_path / ".page.html.tmp").write_text("of somebody else")
    write_file(tmp_path / "page.html", "mine")
    assert (tmp_path / "page.html").read_text() == "mine"
    assert (tmp_path / ".page.html.tmp").read_text() == "of somebody else"


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o444])
@pytest.mark.parametrize("asked", [0o600, 0o666])
def test_a_file_that_is_replaced_keeps_its_permissions(tmp_path, mode, asked):
    path = tmp_path / "page.html"
    path.write_text("old")
    path.chmod(mode)
    write_file(path, "new", mode=asked)
    assert (path.read_text(), permissions(path)) == ("new", mode)


def test_a_mount_without_permissions_can_be_written(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    (tmp_path / "x").write_text("old")
    monkeypatch.setattr(os, "fchmod", refuse)
    write_file(tmp_path / "x", "new")
    assert (tmp_path / "x").read_text() == "new"


@pytest.mark.parametrize(("asked", "then"), [(0o600, 0o600), (0o666, 0o644)])
def test_a_new_file_has_the_permissions_asked_for_less_the_umask(tmp_path, asked, then):
    write_file(tmp_path / "new", "", mode=asked)
    assert permissions(tmp_path / "new") == then


def test_content_is_never_readable_by_more_than_may_read_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "page.html"
    path.write_text("old")
    path.chmod(0o600)
    seen: list[int] = []
    fchmod = os.fchmod

    def look(fd: int, mode: int) -> None:
        seen.append(stat.S_IMODE(os.fstat(fd).st_mode))
        fchmod(fd, mode)

    monkeypatch.setattr(os, "fchmod", look)
    write_file(path, "new")
    assert seen == [0o600]


def test_file_and_folder_are_synced_before_and_after_the_rename(tmp_path, monkeypatch):
    calls: list[str] = []
    fsync, rename = os.fsync, os.rename

    def sync(fd: int) -> None:
        calls.append("folder" if stat.S_ISDIR(os.fstat(fd).st_mode) else f"{os.fstat(fd).st_size} bytes")
        fsync(fd)

    def rename_(old: str, new: str) -> None:
        calls.append("rename")
        rename(old, new)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(os, "rename", rename_)
    write_file(tmp_path / "a", "content")
    assert calls == ["7 bytes", "rename", "folder"]
    calls.clear()
    write_file(tmp_path / "a", "content", is_durable=False)
    assert calls == ["rename"]


@pytest.mark.parametrize("function", ["fsync", "rename", "fchmod"])
def test_after_an_error_the_old_file_is_there_and_nothing_else(tmp_path, monkeypatch, function):
    path = tmp_path / "page.html"
    path.write_text("old")

    def fail(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, function, fail)
    with pytest.raises(UsageError, match=r"^--html .*page.html: No space left on device$"):
        write_output("--html", str(path), "new")
    assert path.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


def test_a_file_that_must_be_new_replaces_nothing(tmp_path):
    path = tmp_path / "a.toml"
    path.write_text("old")
    with pytest.raises(FileExistsError):
        write_file(path, "new", replaces=False)
    assert path.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.toml"]


@pytest.mark.parametrize("is_there", [True, False])
def test_a_link_in_the_place_of_a_new_file_is_not_followed(tmp_path, is_there):
    victim = tmp_path / "victim"
    if is_there:
        victim.write_text("mine")
    (tmp_path / "a.toml").symlink_to(victim)
    with pytest.raises(FileExistsError):
        write_file(tmp_path / "a.toml", "new", replaces=False)
    assert not is_there or victim.read_text() == "mine"
    assert victim.exists() == is_there


@pytest.mark.parametrize("target", ["latest.html", "pages/latest.html"])
def test_a_link_within_its_folder_stays_and_its_file_is_written(tmp_path, target):
    (tmp_path / "pages").mkdir()
    (tmp_path / "page.html").symlink_to(target)
    for text in ("first", "second"):
        write_file(tmp_path / "page.html", text)
        assert (tmp_path / target).read_text() == text
    assert (tmp_path / "page.html").is_symlink()


@pytest.mark.parametrize("is_there", [True, False])
def test_a_link_to_another_folder_is_refused_by_the_name_of_where_it_leads(tmp_path, is_there):
    (tmp_path / "project").mkdir()
    victim = tmp_path / "victim"
    if is_there:
        victim.write_text("mine")
    (tmp_path / "project" / "p.json").symlink_to("../victim")
    with pytest.raises(UsageError) as refused:
        write_output("--out", str(tmp_path / "project" / "p.json"), "new")
    expected = f"a link to {victim.resolve()}, in another folder; name that file itself"
    assert str(refused.value) == f"--out {tmp_path}/project/p.json: {expected}"
    assert victim.exists() == is_there
    assert not is_there or victim.read_text() == "mine"


def test_a_folder_that_was_named_may_be_a_link(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "folder").symlink_to("real")
    write_file(tmp_path / "folder" / "page.html", "text")
    assert (tmp_path / "real" / "page.html").read_text() == "text"


def test_what_is_no_file_is_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "circle").symlink_to("circle")
    for name in ("pipe", "folder", "circle"):
        with pytest.raises(OSError, match="not a regular file"):
            find_target(tmp_path / name)


def test_a_name_as_long_as_a_name_can_be_is_written(tmp_path):
    path = tmp_path / ("n" * 255)
    write_file(path, "text")
    assert path.read_text() == "text"


def test_a_path_without_a_folder_is_one_of_where_the_process_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_file("page.html", "text")
    assert (tmp_path / "page.html").read_text() == "text"
    assert files.find_target("page.html") == str(tmp_path.resolve() / "page.html")
