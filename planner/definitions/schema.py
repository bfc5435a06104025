"""The JSON Schema of `statform.toml`, of definition files and of environments, for editors.

It is made from the tables that the validator reads, so that the two can't disagree about a value. Only the validator
finds what needs more than one value: a name twice, a cycle, a field both declared and cleared, a table in a wrong file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from planner.definitions.addresses import KEY, UNUSABLE_NAMES
from planner.definitions.fields import Boolean, Field, Integer, KeyedList, Kind, String, StringSet, Table
from planner.definitions.resources import RESOURCE_TYPES, ResourceType
from planner.definitions.settings import (
    SETTINGS,
    WAREHOUSES,
    Limit,
    Lineage,
    Pacing,
    Patterns,
    Setting,
    StatePath,
    Version,
    Warehouse,
)
from state.values import JSON

_ADDRESS: JSON = {"type": "string", "pattern": f"^(?:{'|'.join(RESOURCE_TYPES)})\\.(?:{KEY.pattern})$"}
# The value of a variable: it can't refer to another variable.
_TEXT: JSON = {"type": "string", "not": {"pattern": r"\$\{var\."}}
_REQUIRED: dict[str, JSON] = {"required": ["required"]}
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def build_schema() -> dict[str, JSON]:
    """One schema for all kinds of file."""
    settings = SETTINGS[("statform",)]
    types = RESOURCE_TYPES.values()
    properties: dict[str, JSON] = {
        "statform": {
            "description": "The project's settings; only in statform.toml and environments.",
            **_object({name: _setting(one) for name, one in settings.items()}),
        },
        "audit": {
            "description": "What audit and import ignore; only in statform.toml and environments.",
            **_object({name: _setting(one) for name, one in SETTINGS["audit",].items()}),
        },
        "variables": {
            "description": "The values of ${var.NAME}; declared in statform.toml, and set in environments.",
            "type": "object",
            "propertyNames": {"pattern": f"^(?:{KEY.pattern})$"},
            "additionalProperties": {"anyOf": [_TEXT, _object({"required": {"const": True}}) | _REQUIRED]},
        },
        "defaults": {
            "description": "Fields that a definition gets unless it declares its own; in a file: only for that file.",
            **_object({type_.name: _object(_fields(type_)) for type_ in types}),
        },
    }
    move = _object({"from": _ADDRESS, "to": _ADDRESS}) | {"required": ["from", "to"]}
    properties["moved"] = {
        "description": "Addresses that were changed: the state moves to the new address; only in statform.toml.",
        "type": "array",
        "items": move,
    }
    properties["removed"] = {
        "description": "Addresses that are no longer defined; only in statform.toml and environments.",
        "type": "array",
        "items": _object({"from": _ADDRESS, "delete": {"type": "boolean"}}) | {"required": ["from", "delete"]},
    }
    properties |= {type_.name: _definitions(type_) for type_ in types}
    return {"$schema": DIALECT, "title": "statform", **_object(properties)}


def schema_text(schema: Mapping[str, JSON]) -> str:
    """The schema as a file holds it, and as `statform schema` prints it."""
    return json.dumps(schema, indent=2) + "\n"


def _object(properties: Mapping[str, JSON]) -> dict[str, JSON]:
    return {"type": "object", "additionalProperties": False, "properties": dict(properties)}


def _definitions(type_: ResourceType) -> JSON:
    return {
        "type": "object",
        "description": f"[{type_.name}.KEY]: you choose the key; it is the second part of the address.",
        "propertyNames": {"pattern": f"^(?:{KEY.pattern})$"},
        # Beside `absent` nothing may be declared. dependentSchemas would say it shorter, but Taplo does not know it.
        "additionalProperties": _object(_definition(type_))
        | {"if": {"required": ["absent"]}, "then": {"maxProperties": 1}},
    }


def _definition(type_: ResourceType) -> dict[str, JSON]:
    nullable: list[JSON] = [field.name for field in type_.fields if field.nullable]
    unusable: list[JSON] = [*sorted(UNUSABLE_NAMES)]
    name: JSON = {
        "type": "string",
        "not": {"enum": unusable},
        "description": "The remote name; the default is the key. A new name renames the source.",
    }
    clear: JSON = {"type": "array", "items": {"enum": nullable}, "description": "Fields that are set to null."}
    depends_on: JSON = {
        "type": "array",
        "items": {"type": "string"},
        "description": "Addresses that are applied before this one.",
    }
    sql_file: JSON = {
        "type": "string",
        "pattern": r"\.sql$",
        "description": "A .sql file instead of sql, relative to this file.",
    }
    adopt: JSON = {
        "type": "boolean",
        "description": "The source already exists: the next apply takes it over, and sends the fields that differ.",
    }
    absent: JSON = {
        "const": True,
        "description": "Removes the source from this environment; only in environments, and alone in its table.",
    }
    others: dict[str, JSON] = {
        "clear": clear,
        "depends_on": depends_on,
        "sql_file": sql_file,
        "adopt": adopt,
        "absent": absent,
    }
    return {"name": name, **_fields(type_), **others}


def _fields(type_: ResourceType) -> dict[str, JSON]:
    return {field.name: _field(field) for field in type_.declarable}


def _field(field: Field) -> JSON:
    return {**_kind(field.kind), "description": field.description}


def _kind(kind: Kind) -> dict[str, JSON]:
    match kind:
        case String():
            return {"type": "string"}
        case Boolean():
            return {"type": "boolean"}
        case Integer():
            return {"type": "integer", "minimum": kind.minimum, "maximum": kind.maximum}
        case StringSet():
            return {"type": "array", "items": {"type": "string"}, "uniqueItems": True}
        case KeyedList():
            entry = _object({kind.key: {"type": "string"}, kind.value: {"type": "string"}})
            return {"type": "array", "items": entry | {"required": [kind.key, kind.value]}}
        case Table():
            return _object({member: {"type": "string"} for member in kind.members}) | {"minProperties": 1}


def _setting(setting: Setting) -> JSON:
    match kind := setting.kind:
        case Version():
            found: dict[str, JSON] = {"type": "string", "pattern": f"^(?:{kind.pattern})$"}
        case Limit():
            count: JSON = {"type": "integer", "minimum": 0}
            found = {"anyOf": [count, {"type": "string", "pattern": f"^(?:{kind.pattern})$"}]}
        case StatePath():
            found = {"type": "string", "pattern": r"^[^\u0000]*\.json$"}
        case Lineage():
            found = {"type": "string", "pattern": f"^{kind.pattern}$"}
        case Warehouse():
            found = {"enum": list(WAREHOUSES)}
        case Patterns():
            found = _kind(StringSet())
        case Pacing():
            found = _object({name: _setting(one) for name, one in SETTINGS["statform", "pacing"].items()})
        case _:
            found = _kind(kind)
    return found | {"description": setting.description}
