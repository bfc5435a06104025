"""The git commit that has the definitions, for the journal.

Others fill the repository that statform runs in, and its configuration can name programs. So git is only asked for
what runs none of them: what HEAD is, and the content of a commit's files. It gets no environment but the one made here,
and no folder to look for a repository in, since one that looks like a bare repository can be in any commit.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping

_TIMEOUT_S = 10
_ENVIRON = {
    "LC_ALL": "C",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_TERMINAL_PROMPT": "0",
    # An object that a partial clone lacks is not fetched: a fetch runs what the remote's configuration names.
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_ALLOW_PROTOCOL": "none",
}
_SETTINGS = ("core.fsmonitor=false", f"core.hooksPath={os.devnull}", "safe.bareRepository=explicit")


def find_commit(directory: str, texts: Mapping[str, str]) -> str | None:
    """The commit at HEAD, if it has each of the files as it was read; None if not, and outside a repository.

    `texts` maps paths relative to `directory` to contents, in which a line ends with LF alone and no BOM stands first.
    """
    directory = os.path.realpath(directory)
    if (top := find_top(directory)) is None:
        return None
    folder = os.path.relpath(directory, top)
    paths = {os.path.normpath(os.path.join(folder, name)): text for name, text in texts.items()}
    if any("\n" in path for path in paths):
        return None
    try:
        commit = _ask(top, b"", "rev-parse", "--verify", "--quiet", "HEAD^{commit}").decode("ascii").strip()
        asked = b"".join(os.fsencode(f"{commit}:{path}\n") for path in paths)
        contents = _ask(top, asked, "cat-file", "--batch")
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    return commit if _has_all(contents, list(paths.values())) else None


def find_top(directory: str) -> str | None:
    """The nearest folder with a `.git`, which no commit can hold; a folder that itself looks like one is not asked."""
    while not os.path.lexists(os.path.join(directory, ".git")):
        directory, below = os.path.dirname(directory), directory
        if directory == below:
            return None
    return directory


def _ask(top: str, stdin: bytes, *words: str) -> bytes:
    settings = (word for setting in _SETTINGS for word in ("-c", setting))
    command = ["git", "--no-pager", f"--git-dir={os.path.join(top, '.git')}", *settings, *words]
    # Not from a folder of the repository, where a PATH with a relative part would find a program of it.
    path = os.pathsep.join(part for part in os.environ.get("PATH", os.defpath).split(os.pathsep) if os.path.isabs(part))
    return subprocess.run(  # noqa: S603 - every word is ours
        command,
        input=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        timeout=_TIMEOUT_S,
        check=True,
        cwd="/",
        env={**_ENVIRON, "PATH": path},
    ).stdout


def _has_all(contents: bytes, texts: list[str]) -> bool:
    """Whether `cat-file --batch` answered with these: for each a line "ID TYPE SIZE", the content, a line break."""
    at = 0
    for text in texts:
        end = contents.find(b"\n", at)
        words = contents[at:end].split(b" ")
        if end < 0 or len(words) != 3 or words[1] != b"blob" or not words[2].isdigit():
            return False
        start, at = end + 1, end + 1 + int(words[2])
        content = contents[start:at].replace(b"\r\n", b"\n").removeprefix(b"\xef\xbb\xbf")
        if content != text.encode("utf-8", "surrogateescape"):
            return False
        at += 1
    return True
