"""Commands that a message tells a person to run, with the options that they need to act on the same state."""

from __future__ import annotations

__all__ = ["advise", "given"]


class _Given:
    """The project's directory and the environment, as the command line of the command at work has them."""

    directory: str = ""
    environment: str | None = None


given = _Given()
"""The options that every advised command repeats: one for the process, which runs one command; empty in a library."""


def advise(*words: str, environment: str | None = None, directory: str | None = None) -> str:
    """The command of statform with these words as it is typed, quoted for a shell."""
    import shlex  # noqa: PLC0415 - most commands advise nothing

    there = directory or given.directory
    where = environment or given.environment
    options = [*(() if there in {"", "."} else ("-C", there)), *(("--env", where) if where else ())]
    return shlex.join(["statform", *options, *words])
