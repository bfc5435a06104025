"""Which place a project's state has: a file of the project, or what STATFORM_STATE names.

    /FOLDER                                 a folder of this machine
    s3://BUCKET/PREFIX                      AWS_ENDPOINT_URL for another server that speaks S3
    gs://BUCKET/PREFIX
    az://CONTAINER/PREFIX                   of the account AZURE_STORAGE_ACCOUNT_NAME
    postgresql://USER@HOST/DATABASE#PREFIX

It comes from the environment alone: what a repository says can neither send credentials to another server, nor show a
plan against a state that somebody made up. The repository says which state it expects there, by its lineage. Nothing is
asked, and no driver loaded, before the place is used.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from os.path import isabs, join
from typing import TYPE_CHECKING, NamedTuple

from state.errors import WrongState
from state.local import LocalPlace

if TYPE_CHECKING:
    from state.storage import Place, Told

__all__ = ["NO_WAIT", "Wait", "find_place"]

_VARIABLE = "STATFORM_STATE"


class Wait(NamedTuple):
    """How long a run waits for one that is at work, in seconds, and who hears of it.

    None: not at all for one of this machine, and for another until that gives a sign of life.
    """

    patience_s: float | None = None
    told: Callable[[Told], None] = lambda _: None


NO_WAIT = Wait()


def find_place(
    directory: str,
    name: str,
    lineage: str | None,
    environ: Mapping[str, str] = os.environ,
    wait: Wait = NO_WAIT,
) -> Place:
    """The place of the state that the project in `directory` calls `name`, which is a path that ends with `.json`.

    `lineage` is that of the shared state which the project says it has, None if it says nothing.

    Raises:
        WrongState: STATFORM_STATE is missing or can't be used.
    """
    url = environ.get(_VARIABLE, "")
    if url and not isabs(url):
        # What several machines share, with the time that it takes to load, is no part of a local plan.
        from state.urls import shared_place  # noqa: PLC0415

        place = shared_place(url, name.removesuffix(".json"), environ)
        return place._replace(lineage=lineage or "", patience_s=wait.patience_s, told=wait.told)
    path = join(url or directory, name)
    if lineage:
        what = f"this project's state is shared, with the lineage {lineage}, and {_VARIABLE} does not say where it is"
        raise WrongState(path, what, f"Set {_VARIABLE} to its URL, as in s3://BUCKET/PREFIX.")
    return LocalPlace(path, patience_s=wait.patience_s or 0.0, told=wait.told)
