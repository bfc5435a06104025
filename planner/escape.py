"""Makes strings of others harmless: each of them passes through `escape` before it can reach a terminal."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence

# Controls, soft hyphen, zero-width and bidi characters, line and paragraph separators, surrogates, tags, BOM.
_NOT_SHOWN = (
    "\x00-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\u3164\ud800-\udfff\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
# Whatever is taken for a space and is none: Unicode's category Zs, and the Braille pattern without a dot.
_BLANKS = "\xa0\u1680\u2000-\u200a\u202f\u205f\u2800\u3000"
NOT_SHOWN = f"[{_NOT_SHOWN}]"
BLANK = f"[{_BLANKS}]"
UNSAFE = f"[{_NOT_SHOWN}{_BLANKS}]"
"""Characters that a reader can't see or can't distinguish from others: they are never written as they are."""


def escape(text: str) -> str:
    """The text in one line, with everything that a terminal would act on, or not show, written out."""
    # Most texts are plain, and to see that costs less than to load the pattern.
    return text if text.isascii() and text.isprintable() else re.sub(UNSAFE, _written_out, text)


_ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def _written_out(found: re.Match[str]) -> str:
    return _ESCAPES.get(found[0]) or _code_point(found[0])


def _code_point(character: str) -> str:
    point = ord(character)
    return f"\\u{point:04x}" if point <= 0xFFFF else f"\\U{point:08x}"


def tell_apart(shown: Sequence[str]) -> list[str]:
    """The texts as they are shown; of two that differ and look the same, what makes the difference is written out.

    That is how a character is composed: "é" can be one of its own, or an "e" with an accent behind it.
    """
    if all(map(str.isascii, shown)):
        return [*shown]
    import unicodedata  # noqa: PLC0415 - most texts are ASCII

    looks = [unicodedata.normalize("NFKC", text) for text in shown]
    alike = Counter(look for look, _ in {*zip(looks, shown, strict=True)})
    return [_spell(text) if alike[look] > 1 else text for look, text in zip(looks, shown, strict=True)]


def in_one_form(text: str) -> str:
    """The text as Unicode's NFC has it: what differs in nothing but how a character is composed has the same."""
    if text.isascii():
        return text
    import unicodedata  # noqa: PLC0415 - as above

    return unicodedata.normalize("NFC", text)


def find_in_another_form(name: str, names: Iterable[str]) -> str | None:
    """The first of the names that is this one in another Unicode form, and not this very one."""
    if name.isascii():
        return None
    form = in_one_form(name)
    return next((one for one in names if one != name and in_one_form(one) == form), None)


def _spell(text: str) -> str:
    from unicodedata import combining, is_normalized  # noqa: PLC0415 - as above

    def is_of_its_own(character: str) -> bool:
        return not combining(character) and all(is_normalized(form, character) for form in ("NFC", "NFKD"))

    return "".join(c if is_of_its_own(c) else _code_point(c) for c in text)


# What a CI acts on in the log: for GitHub "::" after any white space (`ActionCommand.cs` of its runner), and for it,
# Azure and TeamCity "##[", "##vso[" and "##teamcity[" anywhere in a line.
_COMMAND = r"(?im)^([^\S\n]*):(?=:)|#(?=#[a-z]*\[)"


def without_ci_commands(text: str) -> str:
    """The text without commands to a CI; JSON keeps its meaning."""
    if "::" not in text and "##" not in text:
        return text
    return re.sub(_COMMAND, lambda found: "\\u0023" if found[0] == "#" else f"{found[1]}\\u003a", text)


_AS_IT_IS = json.JSONEncoder(ensure_ascii=False)


def format_value(value: object) -> str:
    """A value as TOML and JSON both write it, in one line; a table as TOML does."""
    match value:
        case str():
            return escape(_AS_IT_IS.encode(value))
        case list():
            return "[" + ", ".join(map(format_value, value)) + "]"
        case dict() if value:
            return "{ " + ", ".join(f"{_key(k)} = {format_value(v)}" for k, v in value.items()) + " }"
        case _:
            # A number, true or false, null, or the empty table.
            return json.dumps(value)


def tell_names_apart(*names: str) -> list[str]:
    """The names in quotes; of two that differ and look the same, what makes the difference is written out."""
    return tell_apart([format_value(name) for name in names])


def format_name(name: str) -> str:
    """A remote name in a sentence: in quotes if its end would not be clear."""
    return escape(name) if re.fullmatch(r"[^\s\"'(),:]+", name) else format_value(name)


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else format_value(key)


def as_json(value: object, *, indent: int | None = None) -> str:
    """The value as JSON in ASCII, in which nothing is left that a terminal would act on."""
    separators = (",", ":") if indent is None else None
    return json.dumps(value, indent=indent, separators=separators)
