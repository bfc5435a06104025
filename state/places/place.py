"""Where a project's state is: in a file of the project, or at the place that STATFORM_STATE names.

    /FOLDER                                 a folder of this machine
    s3://BUCKET/PREFIX                      AWS_ENDPOINT_URL for another server that speaks S3
    gs://BUCKET/PREFIX
    az://CONTAINER/PREFIX                   of the account AZURE_STORAGE_ACCOUNT_NAME
    postgresql://USER@HOST/DATABASE#PREFIX

Only the environment says where. If a file of the repository could say it, a pull request could send the credentials to
another server, or show a plan against an invented state. The repository says which state it expects there: by its
lineage. Nothing is opened, and no driver is loaded, before the place is used.
"""

import os
from collections.abc import Callable, Mapping
from os.path import dirname, isabs, join
from typing import TYPE_CHECKING

from state.errors import ReadFailed, WrongState
from state.places.disk import Disk, LocalDisk, StrPath
from state.places.local import LocalReader, StateFiles

if TYPE_CHECKING:
    from state.storage import Place, Storage, Told

__all__ = ["NO_WAIT", "LocalPlace", "Wait", "find_place", "place_of"]

_VARIABLE = "STATFORM_STATE"


class Wait:
    """How many seconds a run waits for another one that is at work; `told` hears of the wait.

    None: a local state is not waited for; a shared one is, until the other run gives a sign of life.
    """

    def __init__(self, patience_s: float | None = None, told: Callable[["Told"], None] = lambda _: None) -> None:
        self.patience_s, self.told = patience_s, told


NO_WAIT = Wait()


def find_place(
    directory: str,
    name: str,
    lineage: str | None,
    environ: Mapping[str, str] = os.environ,
    wait: Wait = NO_WAIT,
) -> "Place":
    """The place of the state that the project in `directory` calls `name`, which is a path that ends with `.json`.

    `lineage` is that of the shared state, as the project's settings name it; None if they name none.

    Raises:
        WrongState: STATFORM_STATE is missing or can't be used.
    """
    url = environ.get(_VARIABLE, "")
    if url and not isabs(url):
        # A local plan does not need it, and saves the time to load it.
        from state.places.urls import shared_place  # noqa: PLC0415

        place = shared_place(url, name.removesuffix(".json"), environ)
        # "", not None: if the project names no lineage, it expects no state there, and one that it finds is refused.
        return place._replace(lineage=lineage or "", patience_s=wait.patience_s, told=wait.told)
    path = join(url or directory, name)
    # The file here would be an old copy at best, and a plan from it would be wrong.
    if lineage:
        what = f"this project's state is shared, with the lineage {lineage}, and {_VARIABLE} does not say where it is"
        raise WrongState(path, what, f"Set {_VARIABLE} to its URL, as in s3://BUCKET/PREFIX.")
    return LocalPlace(path, patience_s=wait.patience_s or 0.0, told=wait.told)


class LocalPlace:
    """The state file `path`, in its directory or on `disk`.

    `patience_s`: how many seconds a run waits for the lock; `told` hears of the wait.
    """

    def __init__(
        self,
        path: StrPath,
        disk: Disk | None = None,
        *,
        patience_s: float = 0.0,
        told: Callable[["Told"], None] = lambda _: None,
    ) -> None:
        self._path, self._disk = path, disk
        self._patience_s, self._told = patience_s, told

    def __str__(self) -> str:
        return os.fspath(self._path)

    def reader(self) -> LocalReader | None:
        if self._disk is not None:
            return LocalReader(self._disk, StateFiles(self._path), is_ours=False)
        try:
            return LocalReader(LocalDisk(dirname(self._path)), StateFiles(self._path))
        except ReadFailed as error:
            # No directory, no state. To read makes nothing.
            if not isinstance(error.cause, FileNotFoundError):
                raise
            return None

    def lock_holder(self) -> str | None:
        """The note of who has the lock; None if nobody has it. It does not wait.

        Raises:
            ReadFailed: the lock can't be read.
        """
        import fcntl  # noqa: PLC0415 - a plan asks nobody

        path = os.path.join(dirname(self._path), StateFiles(self._path).lock)
        try:
            with open(path, "rb") as file:
                # Shared, so that two who look at the same time don't take each other for a writer.
                try:
                    fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    return file.read(500).decode("utf-8", "replace").strip()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ReadFailed(path, error) from error
        return None

    def writer(self, *, makes: bool) -> "Storage":
        from state.places.local_writer import LocalWriter  # noqa: PLC0415 - a plan only reads

        of = LocalDisk.made if makes else LocalDisk
        return LocalWriter(self._disk or of(dirname(self._path)), StateFiles(self._path), self._patience_s, self._told)


def place_of(where: "Place | StrPath", disk: Disk | None) -> "Place":
    """The place, for a caller that may give a path instead."""
    return LocalPlace(where, disk) if isinstance(where, str | os.PathLike) else where
