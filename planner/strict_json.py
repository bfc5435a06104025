"""Strict JSON: a text that is read here means the same to every other program, and can be written again."""

from __future__ import annotations

import json
from typing import NoReturn

from state.values import JSON, check_elements

MAX_LEVELS = 100


def loads(content: bytes, *, allows_surrogates: bool = False) -> JSON:
    """The value of a JSON text (RFC 8259) in UTF-8.

    With `allows_surrogates` it may hold half characters (lone surrogates), which `replace_surrogates` takes out of it.

    Raises:
        ValueError: it is something else, or it has a name twice in one object, NaN, a number out of range, half a
            character (a lone surrogate), more levels than could be written again, or
            hardly anything but brackets and commas.
    """
    text = content.decode("utf-8")
    check_elements(text)
    try:
        value: JSON = json.loads(text, object_pairs_hook=_object, parse_constant=_refuse, parse_float=_float)
    except RecursionError:
        raise ValueError(f"more than {MAX_LEVELS} levels") from None
    _check_depth(value)
    if not allows_surrogates and "\\ud" in text.lower():
        _check_characters(value)
    return value


def is_encodable(value: JSON) -> bool:
    """Whether UTF-8 can hold the value, which has no half characters then."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def replace_surrogates(value: JSON) -> JSON:
    """The value with U+FFFD for each half of a character, as most programs read one."""
    match value:
        case str():
            return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        case list():
            return [replace_surrogates(item) for item in value]
        case dict():
            return {str(replace_surrogates(key)): replace_surrogates(item) for key, item in value.items()}
        case _:
            return value


def _object(pairs: list[tuple[str, JSON]]) -> JSON:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a name twice in one object")
    return value


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number")


def _float(text: str) -> float:
    number = float(text)
    if number in {float("inf"), float("-inf")}:
        raise ValueError("a number out of range")
    return number


def _check_depth(value: JSON) -> None:
    level = [value]
    for _ in range(MAX_LEVELS):
        inner = (v.values() if isinstance(v, dict) else v for v in level if isinstance(v, dict | list))
        level = [member for members in inner for member in members]
        if not level:
            return
    raise ValueError(f"more than {MAX_LEVELS} levels")


def _check_characters(value: JSON) -> None:
    if not is_encodable(value):
        raise ValueError("half a character (a lone surrogate)")
