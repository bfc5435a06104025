"""Commands that a text advises to type: with the options without which they would act on another state."""

from __future__ import annotations

from contextvars import ContextVar
from typing import NamedTuple

__all__ = ["Given", "advise", "given"]


class Given(NamedTuple):
    """The project's directory and the environment, as the command line of the command at work has them."""

    directory: str = ""
    environment: str | None = None


given: ContextVar[Given] = ContextVar("given", default=Given())  # noqa: B039 - a named tuple is frozen
"""What each advised command says again; who uses the library gives nothing."""


def advise(*words: str, environment: str | None = None, directory: str | None = None) -> str:
    """The command of statform with these words as it is typed, quoted for a shell."""
    import shlex  # noqa: PLC0415 - most commands advise nothing

    there = directory or given.get().directory
    where = environment or given.get().environment
    options = [*(() if there in {"", "."} else ("-C", there)), *(("--env", where) if where else ())]
    return shlex.join(["statform", *options, *words])
