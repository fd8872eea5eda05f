"""Convert decoded JSON to the types of the API, and describe these in words."""

from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar

import msgspec
from msgspec import UNSET, Struct
from msgspec.inspect import ListType, Metadata, StructType, type_info
from msgspec.structs import FieldInfo

from webapp.web.api.problems import Problems, escape

S = TypeVar("S", bound=Struct)


def convert(value: Any, kind: type[S], problems: Problems, pointer: str = "") -> S | None:
    """Convert decoded JSON to a type; add every wrong field to the problems.

    A wrong field has its default in the result, which is None if there is none. What is read of a
    list is bounded by its type, and of an object by the number of problems.
    """
    if not isinstance(value, dict):
        problems.add(pointer, f"This must be {_describe(kind)}.")
        return None
    values: dict[str, Any] = {}
    fields = _fields_of(kind)
    for name in value:
        if name not in fields:
            problems.add(f"{pointer}/{escape(name)}", "There is no such field.")
    for name, one in fields.items():
        if name in value:
            converted = _convert(value[name], one.type, problems, f"{pointer}/{name}")
            if converted is not UNSET:
                values[name] = converted
        elif one.required:
            problems.add(f"{pointer}/{name}", "This field is missing.")
    required = {name for name, one in fields.items() if one.required}
    return kind(**values) if required <= values.keys() else None


@cache
def _fields_of(kind: type[Struct]) -> Mapping[str, FieldInfo]:
    return {one.encode_name: one for one in msgspec.structs.fields(kind)}


def _convert(value: Any, kind: Any, problems: Problems, pointer: str) -> Any:
    """Convert a field; return UNSET if it is wrong, and None for a wrong item."""
    if isinstance(value, list) and (listed := list_of(kind)) and len(value) <= listed[1]:
        return [
            _convert_item(one, listed[0], problems, f"{pointer}/{place}")
            for place, one in enumerate(value)
        ]
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError:
        problems.add(pointer, f"This must be {_describe(kind)}.")
        return UNSET


def _convert_item(value: Any, kind: type[S], problems: Problems, pointer: str) -> S | None:
    before = len(problems.found)
    item = convert(value, kind, problems, pointer)
    return item if len(problems.found) == before else None


@cache
def list_of(kind: Any) -> tuple[type[Struct], int] | None:
    """Return the type of the items of a list of objects, and how many it may have.

    None for other types.
    """
    info = type_info(kind)
    if isinstance(info, Metadata):  # The field has a description.
        info = info.type
    match info:
        case ListType(item_type=StructType(cls=item), max_length=int(most)):
            return item, most
    return None


@cache
def _describe(kind: Any) -> str:
    """Describe a type in words, by its JSON schema."""
    return describe_schema(msgspec.json.schema(kind))


def describe_schema(schema: Mapping[str, Any]) -> str:
    """Describe what a JSON schema allows in words: `a whole number from 1 to 100`."""
    if "anyOf" in schema:
        kinds = [one for one in schema["anyOf"] if "enum" not in one]
        words = [str(word) for one in schema["anyOf"] for word in one.get("enum", ())]
        listed = [describe_schema({"enum": words})] if words else []
        return " or ".join(dict.fromkeys([*listed, *map(describe_schema, kinds)]))
    if "enum" in schema:
        return "one of " + ", ".join(str(one) for one in schema["enum"])
    if "const" in schema:
        return str(schema["const"])
    match schema.get("type"):
        case "integer" | "number" as kind:
            return ("a whole number" if kind == "integer" else "a number") + _bounds(schema)
        case "string":
            return _describe_text(schema)
        case "boolean":
            return "true or false"
        case "null":
            return "null"
        case "array" if "minItems" in schema:
            return f"a list of {schema['minItems']} numbers{_bounds(schema['items'])}"
        case "array" if "maxItems" in schema:
            return f"a list of at most {schema['maxItems']}"
        case "array":
            return "a list"
    return "an object"


def _bounds(schema: Mapping[str, Any]) -> str:
    if "maximum" in schema:
        return f" from {schema['minimum']} to {schema['maximum']}"
    if "minimum" in schema:
        return f" of at least {schema['minimum']}"
    return ""


def _describe_text(schema: Mapping[str, Any]) -> str:
    if "pattern" in schema:
        return str(schema["description"])
    return f"text of at most {schema['maxLength']} characters" if "maxLength" in schema else "text"
