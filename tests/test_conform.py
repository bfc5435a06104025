"""`make conform` tells where a row is not as the published schema has it."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest
from conform import find_differences, main

from planner.definitions.fields import NOT_PATCH, Boolean, Field, Integer, KeyedList, String, StringSet, Table
from planner.definitions.resources import RESOURCE_TYPES, ResourceType

GADGET = ResourceType.of(
    name="gadget",
    path="/console/v1/gadget/{name}",
    list_path="/console/v1/gadgets",
    has_get=True,
    fields=(
        Field("sql", String(), calls=NOT_PATCH, required=True, returned=True),
        Field("tags", StringSet()),
        Field("isVerified", Boolean()),
        Field("parts", KeyedList("part", "column")),
        Field("size", Integer(1, 9), nullable=True),
        Field("owner", Table(("ownerID",)), nullable=True),
        Field("madeBy", String(), calls=frozenset()),
    ),
)
PROPERTIES: dict[str, Any] = {
    "name": {"type": "string"},
    "sql": {"type": "string"},
    "tags": {"type": "array", "items": {"type": "string"}},
    "isVerified": {"type": "boolean"},
    "parts": {"type": "array", "items": {"$ref": "#/components/schemas/Part"}},
    "size": {"type": ["integer", "null"], "minimum": 1, "maximum": 9},
    "owner": {"anyOf": [{"type": "object", "properties": {"ownerID": {"type": "string"}}}, {"type": "null"}]},
}


def body(required: list[str], **other: Any) -> dict[str, Any]:
    properties = {**PROPERTIES, "dryRun": {"type": "boolean"}, **other}
    schema = {"type": "object", "required": required, "properties": properties}
    return {"requestBody": {"content": {"application/json": {"schema": schema}}}}


def document() -> dict[str, Any]:
    """The small kind of an API: as `GADGET` is."""
    entry = {"type": "object", "required": ["name", "sql"], "properties": {**PROPERTIES, "madeBy": {"type": "string"}}}
    listed = {"type": "object", "properties": {"data": {"type": "array", "items": entry}}}
    return {
        "components": {
            "schemas": {
                "Part": {"type": "object", "properties": {"part": {"type": "string"}, "column": {"type": "string"}}}
            }
        },
        "paths": {
            "/console/v1/gadgets": {
                "get": {"responses": {"200": {"content": {"application/json": {"schema": listed}}}}},
                "post": body(["name", "sql"]),
            },
            "/console/v1/gadget/{id}": {
                "get": {},
                "patch": body([], sql={"type": "string", "readOnly": True}),
                "post": body(["sql"]),
                "delete": {},
            },
        },
    }


ITEM, LIST = "/console/v1/gadget/{id}", "/console/v1/gadgets"


def schema_of(found: dict[str, Any], path: str, verb: str) -> dict[str, Any]:
    schema: dict[str, Any] = found["paths"][path][verb]["requestBody"]["content"]["application/json"]["schema"]
    # Calls share their properties here.
    schema["properties"] = deepcopy(schema["properties"])
    return schema


def test_a_row_that_is_as_the_document_has_it_has_no_differences():
    assert list(find_differences(GADGET, document())) == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda d: d["paths"][ITEM].pop("patch"), "gadget: PATCH /console/v1/gadget/{name}: the row has it, the doc"),
        (lambda d: d["paths"][ITEM].pop("delete"), "gadget: DELETE /console/v1/gadget/{name}: the row has it"),
        (lambda d: d["paths"].pop(LIST), "gadget: POST /console/v1/gadgets: the row has it"),
        (
            lambda d: schema_of(d, LIST, "post")["properties"].update(color={"type": "string"}),
            "gadget, create: color: the document has it, the row has not",
        ),
        (
            lambda d: schema_of(d, ITEM, "patch")["properties"].update(sql={"type": "string"}),
            "gadget, patch: sql: the document has it, the row has not",
        ),
        (
            lambda d: schema_of(d, ITEM, "post")["required"].append("tags"),
            "gadget, full update: tags: optional in the row, and not in the document",
        ),
        (
            lambda d: schema_of(d, ITEM, "post")["properties"].update(tags={"type": "string"}),
            "gadget, full update: tags: list of string in the row, string in the document",
        ),
        (
            lambda d: schema_of(d, ITEM, "post")["properties"]["size"].update(maximum=10),
            "gadget, full update: size: integer from 1 to 9 in the row, integer from 1 to 10 in the document",
        ),
        (
            lambda d: schema_of(d, ITEM, "patch")["properties"]["size"].update(type="integer"),
            "gadget, patch: size: nullable in the row, and not in the document",
        ),
        (
            lambda d: schema_of(d, ITEM, "patch")["properties"].pop("name"),
            "gadget, patch: name: the row has it, the document has not",
        ),
    ],
)
def test_what_differs_is_told_with_its_call_and_its_field(change, told):
    found = document()
    change(found)
    differences = list(find_differences(GADGET, found))
    assert differences
    assert differences[0].startswith(told)


def test_what_differs_is_printed_and_is_the_exit_code(tmp_path, capsys):
    path = tmp_path / "openapi.json"
    path.write_text(json.dumps(document()))
    assert main([str(path)], [GADGET]) == 0
    assert main([str(path)]) == 1
    out = capsys.readouterr().out
    assert all(f"{name}: DELETE " in out for name in RESOURCE_TYPES)
    path.write_text("[")
    assert main([str(path)]) == 2
    assert main([]) == 2
