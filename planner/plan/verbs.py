"""What a plan can do to an address: each verb is a row with all its words.

No other module says what a verb is called, what sign stands before it or what Terraform calls it: a further row is
shown and counted everywhere. What a verb *does* is decided in `diff` (when), `order` (its requests) and `apply`.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple, TypeAlias

VerbWord: TypeAlias = Literal["create", "update", "adopt", "delete", "forget", "no-op"]
TerraformTotal: TypeAlias = Literal["add", "change", "import", "remove"]
"""In Terraform's own order."""


class Verb(NamedTuple):
    """A verb of the plan, with its words. None has a default: mypy names the row that lacks one."""

    word: VerbWord
    """In JSON, in saved plans, in the history."""
    listed_as: str
    """Where only what changes is listed: a `no-op` is listed when its address moves."""
    symbol: Literal["~", "+", "-", ".", " "]
    """Before the address in a plan."""
    will: str
    """After the address in a plan; `{name}` is the remote name, `{how}` the call that changes it."""
    to_do: str
    """In a count of what will be: "2 to update"."""
    done: str
    """In a count of what was, and when its request was accepted."""
    doing: str
    """While its request is on the way."""
    sends: bool
    """Whether it sends a request."""
    is_change: bool
    """Whether it changes something, even if only in the state."""
    keeps: bool
    """Whether the state has the address afterwards."""
    terraform: Literal["create", "update", "delete", "forget", "no-op"]
    """In `actions` of Terraform's plan representation."""
    terraform_event: Literal["create", "update", "delete", "remove", "move"]
    """The `action` of Terraform's events."""
    terraform_totals: tuple[TerraformTotal, ...]
    """The totals of Terraform's `change_summary` that it counts in."""


CREATE = Verb(
    word="create",
    listed_as="create",
    symbol="+",
    will="will be created (POST {name})",
    to_do="to create",
    done="created",
    doing="creating",
    sends=True,
    is_change=True,
    keeps=True,
    terraform="create",
    terraform_event="create",
    terraform_totals=("add",),
)
UPDATE = Verb(
    word="update",
    listed_as="update",
    symbol="~",
    will="will be updated ({how} {name})",
    to_do="to update",
    done="updated",
    doing="updating",
    sends=True,
    is_change=True,
    keeps=True,
    terraform="update",
    terraform_event="update",
    terraform_totals=("change",),
)
ADOPT = Verb(
    word="adopt",
    listed_as="adopt",
    symbol="+",
    will="will be adopted ({how} {name})",
    to_do="to adopt",
    done="adopted",
    doing="adopting",
    sends=True,
    is_change=True,
    keeps=True,
    # Terraform's import with an update: the API has it, and its prior values are not known.
    terraform="update",
    terraform_event="update",
    terraform_totals=("import", "change"),
)
DELETE = Verb(
    word="delete",
    listed_as="delete",
    symbol="-",
    will="will be DELETED (DELETE {name})",
    to_do="to DELETE",
    done="deleted",
    doing="deleting",
    sends=True,
    is_change=True,
    keeps=False,
    terraform="delete",
    terraform_event="delete",
    terraform_totals=("remove",),
)
FORGET = Verb(
    word="forget",
    listed_as="forget",
    symbol=".",
    will="is no longer defined and will be forgotten; the source {name} stays as it is",
    to_do="to forget",
    done="forgotten",
    doing="forgetting",
    sends=False,
    is_change=True,
    keeps=False,
    terraform="forget",
    terraform_event="remove",
    # Nothing is destroyed.
    terraform_totals=(),
)
NO_OP = Verb(
    word="no-op",
    listed_as="move",
    symbol=" ",
    will="is unchanged",
    to_do="unchanged",
    done="unchanged",
    doing="leaving",
    sends=False,
    is_change=False,
    keeps=True,
    terraform="no-op",
    terraform_event="move",
    terraform_totals=(),
)

VERBS = (CREATE, UPDATE, ADOPT, DELETE, FORGET, NO_OP)
"""In the order in which they are counted."""
VERB_OF: Mapping[str, Verb] = {verb.word: verb for verb in VERBS}


def count_verbs(verbs: Iterable[Verb]) -> Counter[Verb]:
    """How often each verb occurs, in the order of `VERBS`; one that does not is left out, and counts 0."""
    counted = Counter(verb.word for verb in verbs)
    return Counter({verb: counted[verb.word] for verb in VERBS if verb.word in counted})
