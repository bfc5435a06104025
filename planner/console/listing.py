"""A list of several pages, trusted only as far as it agrees with itself.

A list is read page by page while others change what it lists, from a server that may answer late or twice. A source
that it does not show would count as deleted. So the list is read again if its parts contradict each other, at most
three times.

Pure: `client` asks for the pages, this puts them together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from attrs import define, field, frozen

from planner.errors import Unreachable
from planner.escape import format_value
from state.values import JSON, Object

LIST_PASSES = 3
MAX_PAGES = 10_000


@frozen(eq=False)
class Listing(Mapping[str, Object]):
    """Every source of a type by its remote name, each as it was shown last.

    With a `problem` the list contradicts itself, however often it is read: what it lacks may be there all the same. The
    `doubtful` were not shown alike by any two readings: they exist, but their values are unknown.
    """

    sources: Mapping[str, Object]
    problem: str | None = None
    doubtful: frozenset[str] = frozenset()

    def doubt(self, name: str) -> str | None:
        """Why the list does not show the values of that source reliably; None: it does."""
        return "the list contradicts itself, and shows it in more than one way" if name in self.doubtful else None

    def __getitem__(self, name: str) -> Object:
        return self.sources[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.sources)

    def __len__(self) -> int:
        return len(self.sources)


@define
class Pass:
    """One reading of a list, page by page: its entries by their `key`, and the first `problem` that they have together.

    An entry whose key is no string is none.
    """

    key: Callable[[Object], JSON]
    found: dict[str, Object] = field(factory=dict)
    doubtful: set[str] = field(factory=set)
    problem: str | None = None
    _count: int = 0
    _total: int | None = None
    _before: JSON = None

    def add(self, number: int, document: Object, read: Callable[[Object], Object | None]) -> bool:
        """Take the page of that number; whether it was the last.

        `read` makes an entry one that can be kept, None if there is no such.

        Raises:
            Unreachable: it is no page of a list.
        """
        entries, pagination = document.get("data"), document.get("pagination")
        if not isinstance(entries, list):
            raise Unreachable("the list can't be used: its data is not a list")
        pagination = pagination if isinstance(pagination, dict) else {}
        self._check_pagination(number, pagination)
        is_repeated = self._take(entries, read)
        # Pages are counted, never followed: `nextPage` is sometimes host and path without a scheme.
        is_last = "nextPage" in pagination and pagination["nextPage"] is None
        if is_repeated and entries and not is_last:
            self._note(f"its page {number} has only entries of earlier pages")
        if is_last or is_repeated:
            self._check_total()
        return is_last or is_repeated

    def _take(self, entries: list[JSON], read: Callable[[Object], Object | None]) -> bool:
        """Return whether they have nothing new: a server may repeat its last page forever."""
        size, has_names = len(self.found), False
        for entry in entries:
            name = self.key(entry) if isinstance(entry, dict) else None
            if not isinstance(entry, dict) or not isinstance(name, str):
                self._note("it has an entry without a name")
            elif (kept := read(entry)) is not None:
                has_names = True
                self._put(name, kept)
        is_repeated = len(self.found) == size and (has_names or entries in ([], self._before))
        self._before = entries
        self._count += len(entries)
        return is_repeated

    def _put(self, name: str, entry: Object) -> None:
        # An entry that comes twice was moved by a change between two pages; then another one may have been skipped.
        if name in self.found:
            self._note(f"it shows {format_value(name)} twice")
            if self.found[name] != entry:
                self.doubtful.add(name)
        self.found[name] = entry

    def _check_pagination(self, number: int, pagination: Object) -> None:
        told, total = pagination.get("pageNumber"), pagination.get("totalItems")
        if type(told) is int and told != number:
            self._note(f"its page {number} says that it is page {told}")
        if type(total) is int:
            if self._total not in {None, total}:
                self._note(f"it says that it has {self._total} entries, and a page later {total}")
            self._total = total

    def _check_total(self) -> None:
        if self._total not in {None, self._count}:
            self._note(f"it says that it has {self._total} entries, and shows {self._count}")

    def _note(self, problem: str) -> None:
        self.problem = self.problem or problem


def believe(read: Callable[[], Pass]) -> Listing:
    """The result of several readings: the first one without contradictions, or else what two of them have in common."""
    passes: list[Pass] = []
    for _ in range(LIST_PASSES):
        passes.append(read())
        if passes[-1].problem is None:
            return Listing(passes[-1].found)
        # Twice the same contradiction: the server has it, and a third reading would not be another one.
        if len(passes) > 1 and passes[-1] == passes[-2]:
            break
    found = {name: source for one in passes for name, source in one.found.items()}
    doubtful = frozenset(name for name in found if not _is_shown_alike(name, passes))
    return Listing(found, passes[-1].problem, doubtful)


def _is_shown_alike(name: str, passes: Sequence[Pass]) -> bool:
    shown = [one.found[name] for one in passes if name in one.found and name not in one.doubtful]
    return any(shown.count(source) > 1 for source in shown)
