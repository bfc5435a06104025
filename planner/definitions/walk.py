"""Finds the definition files of a project, without leaving its folder.

A folder that can't be read is a problem, and never an empty folder: a plan would forget what is defined in it.
"""

import os
import stat

from planner.errors import Diagnostic, Location, UsageError

MAX_FILES = 10_000
"""In one project; as many folders too. Both are counted on the way, so that no tree takes longer."""


class Walk:
    """Names relative to the project, in the order in which they are read, and what could not be looked at."""

    def __init__(self) -> None:
        self.files: list[str] = []
        self.problems: list[Diagnostic] = []


def unreadable(name: str, reason: str) -> Diagnostic:
    """The problem of a file or folder, named relative to the project."""
    return Diagnostic(f"can't be read: {reason}", "a file or folder of the project", Location(name, 1, 1, 1, ""))


def check_link(path: str, root: str, endings: tuple[str, ...] = ()) -> None:
    """Refuse a link that leads out of `root`, a real path, or to a file without one of the endings.

    It looks only at the last part of the path: the caller has checked the folder.

    Raises:
        ValueError: it does.
    """
    if os.path.islink(path):
        target = os.path.realpath(path)
        if os.path.commonpath((target, root)) != root:
            raise ValueError("a link that leads out of the project")
        if endings and not target.endswith(endings):
            raise ValueError(f"a link to something that is not a {' or '.join(endings)} file")


def walk(directory: str, folder: str) -> Walk:
    """The .toml files in the folder of the project and below. Names that begin with a dot are skipped.

    A link to a folder of the project is followed, and no folder is read twice. A folder that is not there has no files.

    Raises:
        UsageError: more files or folders than are read.
    """
    found = Walk()
    seen: set[tuple[int, int]] = set()
    waiting = [folder] if os.path.lexists(os.path.join(directory, folder)) else []
    while waiting:
        name = waiting.pop()
        try:
            waiting += _look_into(directory, name, seen, found)
        except (OSError, ValueError) as error:
            found.problems.append(unreadable(name, reason(error)))
        if len(found.files) > MAX_FILES or len(seen) + len(waiting) > MAX_FILES:
            what = "definition files" if len(found.files) > MAX_FILES else "folders"
            where = os.path.join(os.path.abspath(directory), folder)
            raise UsageError(f"more than {MAX_FILES:,} {what} in {where}; no more are read")
    return found


def _look_into(directory: str, name: str, seen: set[tuple[int, int]], found: Walk) -> list[str]:
    """Add the folder's files; its folders, the last first."""
    path = os.path.join(directory, name)
    # Before it is listed: not even the names of files outside of the project may be shown.
    check_link(path, os.path.realpath(directory))
    # The folder is known by its device and inode, not by its name: a link may lead back to a folder above.
    there = os.stat(path)
    if not stat.S_ISDIR(there.st_mode):
        raise ValueError("not a folder (git without core.symlinks makes a file from a link)")
    if (there.st_dev, there.st_ino) in seen:
        return []
    seen.add((there.st_dev, there.st_ino))
    with os.scandir(path) as entries:
        visible = sorted((one for one in entries if not one.name.startswith(".")), key=lambda one: one.name)
    folders = []
    for entry in visible:
        inner = os.path.join(name, entry.name)
        # A link that can't be followed may lead to a folder. It is reported when its turn comes.
        if entry.is_dir(follow_symlinks=False) or (entry.is_symlink() and not _is_file(entry)):
            folders.append(inner)
        elif entry.name.endswith(".toml"):
            found.files.append(inner)
    return folders[::-1]


def _is_file(link: os.DirEntry[str]) -> bool:
    """Whether a link leads to a file, or would by its name."""
    try:
        return not stat.S_ISDIR(link.stat().st_mode)
    except OSError:
        return link.name.endswith(".toml")


def reason(error: OSError | ValueError) -> str:
    """Why something can't be read, for people."""
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error)
