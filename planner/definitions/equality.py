"""Whether two values of a field are the same: only this module decides it.

Two values that the API returned are compared as they are (`is_same`): another case, blank, Unicode form or line end, or
a lost member, is somebody's change. Only what we sent is compared with the answer in `normal_form`, because an API may
tidy what it gets.
"""

from planner.definitions.fields import Kind, Table
from state.values import JSON

# Two values of a field are compared in three ways:
#
#                                   is_satisfied          is_same              is_shown
#   asks whether                    nothing is to send    nothing changed      the answer says nothing else
#   of                              desired and actual    before and after     sent and returned
#   a set, a keyed list             order and repetition are no difference, in all three
#   a table, members that only...   the first must have   both must have       both have: these count
#   null and false, "", [], {}      differ                are the same         differ


def is_satisfied(kind: Kind, desired: JSON, actual: JSON) -> bool:
    """Whether `actual` already is what `desired` asks for; None means null, and also absent.

    Sets and keyed lists compare by their elements. Of a table, only the declared members count, because the API adds
    others (`owner` gets `ownerName`). Scalars compare by type and value: JSON's true is not 1.
    """
    if desired is None or actual is None:
        return desired is actual
    wanted, found = kind.elements(desired), kind.elements(actual)
    if wanted is None or found is None:
        # In Python True == 1 and False == 0.
        return desired == actual and isinstance(desired, bool) == isinstance(actual, bool)
    if isinstance(kind, Table):
        return all(found.get(key) == value for key, value in wanted.items())
    return wanted == found


def is_same(kind: Kind, before: JSON, after: JSON) -> bool:
    """Whether two values that the API returned are the same.

    Null, false and empty all count as no value, since an API may leave such a field out or show it.
    """
    if is_nothing(before) and is_nothing(after):
        return True
    return is_satisfied(kind, before, after) and is_satisfied(kind, after, before)


def is_nothing(value: JSON) -> bool:
    """Whether the value is null, false or empty, which count as the same."""
    return value is None or value is False or value in ("", [], {})


def is_shown(kind: Kind, value: JSON, actual: JSON) -> bool:
    """As `is_satisfied`, but `actual` may leave out members of a table: only those that it shows are compared."""
    if isinstance(kind, Table) and isinstance(value, dict) and isinstance(actual, dict):
        shown: dict[str, JSON] = {key: member for key, member in value.items() if key in actual}
        return bool(shown) and is_satisfied(kind, shown, actual)
    return is_satisfied(kind, value, actual)


def is_shown_tidied(kind: Kind, sent: JSON, actual: JSON) -> bool:
    """As `is_shown`, where the API may also have tidied what it was sent."""
    return is_shown(kind, normal_form(sent), normal_form(actual))


def normal_form(value: JSON) -> JSON:
    """The value with each string stripped, case-folded and Unicode-normalised; what a server only tidied is then equal.

    An empty value or member counts as null, since a server may store one as the other.
    """
    if isinstance(value, dict):
        return {key: _null_if_empty(_tidied(item)) for key, item in value.items()}
    return _null_if_empty(_tidied(value))


def _tidied(value: JSON) -> JSON:
    match value:
        case str():
            return _tidied_text(value)
        case list():
            return [_tidied(item) for item in value]
        case dict():
            return {key: _tidied(item) for key, item in value.items()}
        case _:
            return value


def _tidied_text(text: str) -> str:
    plain = " ".join(text.split())
    if plain.isascii():
        return plain.casefold()
    from unicodedata import normalize  # noqa: PLC0415 - most texts are ASCII

    return normalize("NFC", plain).casefold()


def _null_if_empty(value: JSON) -> JSON:
    return None if value in ("", []) else value
