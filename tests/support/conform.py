"""Holds each row of the resource types against an OpenAPI document of the API, and prints what differs.

    python tests/support/conform.py FILE

FILE is the document in JSON, as somebody downloaded it. Exit code 0: nothing differs; 1: something does; 2: it can't be
used. A row then changes by evidence.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from planner.definitions.fields import Boolean, Call, Field, Integer, KeyedList, Kind, String, StringSet, Table
from planner.definitions.resources import RESOURCE_TYPES, ResourceType

Schema: TypeAlias = Mapping[str, Any]

NOT_OF_A_SOURCE = frozenset({"dryRun", "skip_validation", "all_columns", "column_types"})
"""Of a request alone."""


def find_differences(type_: ResourceType, document: Schema) -> Iterator[str]:
    """What the row says otherwise than the document, a line each."""
    paths = {_anonymous(path): verbs for path, verbs in document.get("paths", {}).items()}
    item = paths.get(_anonymous(type_.path), {})
    bodies = {
        Call.CREATE: (type_.create_path, paths.get(_anonymous(type_.create_path), {}).get("post")),
        Call.PATCH: (type_.path, item.get("patch")),
        Call.FULL: (type_.path, item.get("post")),
    }
    for call, (path, operation) in bodies.items():
        has = call is not Call.PATCH or type_.has_patch
        if has != (operation is not None):
            yield f"{type_.name}: {call.method} {path}: {_only(has)}"
        elif operation is not None:
            for text in _of_body(type_, call, _body(operation, document), document):
                yield f"{type_.name}, {call.value}: {text}"
    listed = paths.get(_anonymous(type_.list_path), {}).get("get")
    for verb, path, has, operation in (
        ("DELETE", type_.path, True, item.get("delete")),
        ("GET", type_.path, type_.has_get, item.get("get")),
        ("GET", type_.list_path, True, listed),
    ):
        if has != (operation is not None):
            yield f"{type_.name}: {verb} {path}: {_only(has)}"
    if listed is not None:
        for text in _of_data(type_, _data(listed, document), document):
            yield f"{type_.name}, data: {text}"


def _only(is_ours: bool) -> str:
    return "the row has it, the document has not" if is_ours else "the document has it, the row has not"


def _anonymous(path: str) -> str:
    return re.sub(r"\{\w+\}", "{}", path.rstrip("/"))


def _of_body(type_: ResourceType, call: Call, schema: Schema, document: Schema) -> Iterator[str]:
    properties = {name: _resolved(one, document) for name, one in schema.get("properties", {}).items()}
    taken = {name for name, one in properties.items() if not one.get("readOnly")} - NOT_OF_A_SOURCE
    fields = {field.name: field for field in type_.in_call(call)}
    ours = {*fields, "name"} if call is Call.CREATE or type_.renames else {*fields}
    yield from (f"{name}: {_only(name in ours)}" for name in sorted(ours ^ taken))
    needed = {name for name in fields if call is not Call.PATCH and fields[name].required}
    needed |= {"name"} if call is Call.CREATE else set()
    for name in sorted((needed ^ set(schema.get("required", ()))) & ours & taken):
        yield f"{name}: {'required' if name in needed else 'optional'} in the row, and not in the document"
    for name in sorted(fields.keys() & taken):
        yield from _of_field(fields[name], properties[name], document)


def _of_data(type_: ResourceType, schema: Schema, document: Schema) -> Iterator[str]:
    properties = {name: _resolved(one, document) for name, one in schema.get("properties", {}).items()}
    ours = {*type_.field, "name"}
    yield from (f"{name}: {_only(name in ours)}" for name in sorted(ours ^ properties.keys()))
    always = {"name", *(field.name for field in type_.fields if field.returned)}
    for name in sorted((always ^ set(schema.get("required", ()))) & properties.keys() & ours):
        yield f"{name}: {'always there' if name in always else 'optional'} in the row, and not in the document"
    for name in sorted(type_.field.keys() & properties.keys()):
        yield from _of_kind(type_.field[name].kind, name, properties[name], document)


def _of_field(field: Field, schema: Schema, document: Schema) -> Iterator[str]:
    if field.nullable != _is_nullable(schema):
        yield f"{field.name}: {'nullable' if field.nullable else 'never null'} in the row, and not in the document"
    yield from _of_kind(field.kind, field.name, schema, document)


def _of_kind(kind: Kind, name: str, schema: Schema, document: Schema) -> Iterator[str]:
    theirs, ours = _describe(schema, document), _expected(kind)
    if theirs != ours:
        yield f"{name}: {ours} in the row, {theirs} in the document"


def _expected(kind: Kind) -> str:
    match kind:
        case String():
            return "string"
        case Boolean():
            return "boolean"
        case Integer(minimum, maximum):
            return f"integer from {minimum} to {maximum}"
        case StringSet():
            return "list of string"
        case KeyedList(key, value):
            return f"list of object of {', '.join(sorted((key, value)))}"
        case Table(members):
            return f"object of {', '.join(sorted(members))}"


def _describe(schema: Schema, document: Schema) -> str:
    schema = _resolved(schema, document)
    types = [one for one in _types(schema) if one != "null"]
    match types:
        case ["array"]:
            return f"list of {_describe(schema.get('items', {}), document)}"
        case ["object"]:
            return f"object of {', '.join(sorted(schema.get('properties', ())))}"
        case ["integer" | "number"]:
            return f"integer from {schema.get('minimum')} to {schema.get('maximum')}"
        case [one]:
            return one
        case _:
            return " or ".join(types) or "anything"


def _types(schema: Schema) -> Sequence[str]:
    found = schema.get("type", ())
    return [found] if isinstance(found, str) else list(found)


def _is_nullable(schema: Schema) -> bool:
    return bool(schema.get("nullable")) or "null" in _types(schema)


def _body(operation: Schema, document: Schema) -> Schema:
    return _content(operation.get("requestBody", {}), document)


def _data(operation: Schema, document: Schema) -> Schema:
    """The schema of one entry of a list's `data`."""
    answers = operation.get("responses", {})
    answer = _content(answers.get("200") or answers.get("201") or {}, document)
    data = _resolved(answer.get("properties", {}).get("data", {}), document)
    return _resolved(data.get("items", data), document)


def _content(holder: Schema, document: Schema) -> Schema:
    content = _resolved(holder, document).get("content", {}).get("application/json", {})
    return _resolved(content.get("schema", {}), document)


def _resolved(schema: Schema, document: Schema) -> Schema:
    """The schema itself: references followed, the parts of `allOf` as one, and null taken out of an `anyOf`."""
    found = dict(schema)
    while "$ref" in found:
        at: Any = document
        for part in found.pop("$ref").removeprefix("#/").split("/"):
            at = at[part.replace("~1", "/").replace("~0", "~")]
        found = {**at, **found}
    for part in found.pop("allOf", ()):
        found = _merged(found, _resolved(part, document))
    choices = [_resolved(one, document) for key in ("anyOf", "oneOf") for one in found.pop(key, ())]
    real = [one for one in choices if _types(one) != ["null"]]
    if len(real) == 1:
        found = _merged(found, real[0]) | ({"nullable": True} if len(choices) > 1 else {})
    return found


def _merged(one: Schema, other: Schema) -> dict[str, Any]:
    properties = {**one.get("properties", {}), **other.get("properties", {})}
    required = [*one.get("required", ()), *other.get("required", ())]
    joined = ({"properties": properties} if properties else {}) | ({"required": required} if required else {})
    return {**one, **other, **joined}


def main(arguments: Sequence[str], types: Iterable[ResourceType] = tuple(RESOURCE_TYPES.values())) -> int:
    """The exit code."""
    try:
        (path,) = arguments
        document = json.loads(Path(path).read_bytes())
        differences = [text for type_ in types for text in find_differences(type_, document)]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        sys.stderr.write(f"a FILE with an OpenAPI document in JSON is needed: {error!r}\n")
        return 2
    verdict = f"{len(differences)} differences." if differences else "The rows are as the document has them."
    sys.stdout.write("\n".join([*differences, verdict]) + "\n")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
