"""What can stop a run, and the exit code of each branch; that of a StateError is in `state.errors`.

    PlannerError                        1
      DefinitionError                   1    every problem of the definition files, at once
      PlanError                         1    definitions and state allow no plan
      TooManyChanges                    1    more than `max_changes`
      TooManyGone                       1    a refresh drops more than half of the state, or than `--allow-gone`
        )


      DeletesRefused                    1    it deletes more than was allowed, or what is still read
      DryRunIgnored                     1    the API carried out what it was to check
      PlanRefused                       1    a saved plan is not the one to apply here and now
      OtherProject                      1    the key is of another Statsig project than the state
      RemoteChanged                     1    the remote is neither prior nor desired; nothing was sent
      UsageError                        1    a setting of the command line or the environment can't be used
      ApiError                          3    the definitions are fine, running again is safe
        Unreachable                     3    no answer, or none that can be used
          NotFound                      3    404: this server has no such path
          PageTooLarge                  3    of a list, in which a smaller page may help
          BadRequest                    3    400: the API does not take a question so
        KeyRefused                      3    401 or 403
        OverLimit                       3    429, longer than a run waits
      Interrupted                       130

A problem in a file is a `Diagnostic`, a value: many are collected and reported together.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from state.advice import advise
from state.values import Address

if TYPE_CHECKING:
    from enum import Enum


class Location(NamedTuple):
    """A place in a file: `line` and `column` count from 1, the column in characters; `length` is what to underline."""

    file: str
    line: int
    column: int
    length: int
    text: str


class Diagnostic(NamedTuple):
    """One problem: what is wrong, what is expected instead, and where. A warning ends nothing."""

    summary: str
    expected: str
    location: Location | None = None
    address: Address | None = None
    field: str | None = None
    is_warning: bool = False


class PlannerError(Exception):
    """The root of this package's errors."""

    exit_code: ClassVar[int] = 1


class _Diagnosed(PlannerError):
    def __init__(self, diagnostics: Sequence[Diagnostic]) -> None:
        super().__init__(diagnostics)
        self.diagnostics = tuple(diagnostics)

    def __str__(self) -> str:
        return "; ".join(d.summary for d in self.diagnostics)


class DefinitionError(_Diagnosed):
    """The definition files have `diagnostics`."""


class PlanError(_Diagnosed):
    """Definitions and state are valid, but no plan can be made from them."""


class TooManyChanges(PlannerError):
    """The plan changes `count` of `managed` resources; `limit` is `max_changes` as it was written.

    `path` is the file that it was saved in, empty for one that was not.
    """

    def __init__(self, count: int, managed: int, limit: str, path: str = "") -> None:
        super().__init__(count, managed, limit, path)
        self.count, self.managed, self.limit, self.path = count, managed, limit, path

    def __str__(self) -> str:
        command = advise("apply", *([self.path] if self.path else []), "--max-changes", str(self.count))
        return (
            f"the plan changes {self.count} of {self.managed} managed resources, and max_changes is {self.limit}\n"
            f"Nothing was sent. If that is what you want: {command}"
        )


class TooManyGone(PlannerError):
    """A refresh would drop `count` of `managed` resources from the state; `limit` is what it may drop unasked."""

    def __init__(self, count: int, managed: int, limit: int) -> None:
        super().__init__(count, managed, limit)
        self.count, self.managed, self.limit = count, managed, limit

    def __str__(self) -> str:
        return (
            f"{self.count} of {self.managed} managed resources are gone, and a refresh removes at most {self.limit}: "
            "does the key belong to another project, or does it have fewer rights?\n"
            f"Nothing was written. If they were deleted: {advise('refresh', '--allow-gone', str(self.count))}"
        )


class DeletesRefused(PlannerError):
    """The plan deletes something that it may not delete; nothing was sent. The text says why, and what to do."""


class DryRunIgnored(PlannerError):
    """A request of a dry run was carried out: that for `address`."""

    def __init__(self, address: Address) -> None:
        super().__init__(address)
        self.address = address

    def __str__(self) -> str:
        return (
            f"this API ignores dryRun: instead of only checking it, it carried out the change of {self.address}\n"
            f"Nothing more is sent. `{advise('plan', '--refresh')}` shows what the remote has now."
        )


class PlanRefused(PlannerError):
    """A plan is refused for the `reason`, a `Refusal` of `planner.plan.saved`.

    `path` is the file that it was saved in, empty for one that was not. `detail` tells more, or is empty; `options` are
    those of the `plan` that saved it.
    """

    def __init__(self, path: str, reason: "Enum", detail: str = "", options: Sequence[str] = ()) -> None:
        super().__init__(path, reason, detail, options)
        self.path, self.reason, self.detail, self.options = path, reason, detail, options

    def __str__(self) -> str:
        detail = f": {self.detail}" if self.detail else ""
        if not self.path:
            return f"the plan was {self.reason.value}{detail}\nNothing was sent. Make a new one."
        command = advise("plan", *self.options, "--out", self.path)
        return f"{self.path}: {self.reason.value}{detail}\nNothing was sent. Make a new one: {command}"


class RemoteChanged(_Diagnosed):
    """What the remote has is neither prior nor desired: `diagnostics` say where. Nothing was sent."""


class OtherProject(PlannerError):
    """The key is of another Statsig project than the state, or that can't be told. Nothing was sent."""

    def __str__(self) -> str:
        remedy = "Nothing was sent. If it is the right project: --project ID, with the ID of the key's project."
        return f"{super().__str__()}\n{remedy}"


class UsageError(PlannerError):
    """What was asked for on the command line, or set in the environment, can't be used."""


class ApiError(PlannerError):
    """The API could not be used: nothing is wrong with the definitions, and running again is safe."""

    exit_code: ClassVar[int] = 3


class Unreachable(ApiError):
    """No answer, or none that can be used."""


class NotFound(Unreachable):
    """The server has no such path (404): it may be older than the type that was asked for."""


class PageTooLarge(Unreachable):
    """A page of a list is larger than an answer may be; a smaller one may not be."""


class BadRequest(Unreachable):
    """The API refuses the request in this form (400); it may accept another form."""


class KeyRefused(ApiError):
    """The API refused the key (`status` 401) or what it may do (403)."""

    def __init__(self, message: str, status: int = 401) -> None:
        super().__init__(message, status)
        self.message, self.status = message, status

    def __str__(self) -> str:
        return f"{self.message}\nThe key comes from STATSIG_API_KEY, or from the file that STATSIG_API_KEY_FILE names."


class OverLimit(ApiError):
    """The API stayed over its rate limit for longer than a run waits."""


class Interrupted(PlannerError):
    """SIGINT, SIGTERM or SIGHUP ended the run."""

    exit_code: ClassVar[int] = 130

    def __str__(self) -> str:
        return "interrupted; running the command again is safe"
