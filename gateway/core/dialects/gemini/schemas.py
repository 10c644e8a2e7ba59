"""Google's subset of OpenAPI schemas as JSON Schema, which the other dialects take.

Facts: https://ai.google.dev/api/caching#Schema. Types are written in capitals; `nullable` stands
for the type null; 64-bit numbers are strings in protobuf's JSON; `propertyOrdering` is said by the
order of the properties themselves; `format: enum` only marks a list of values.
"""

from gateway.core.conversation import Json
from gateway.core.dialects import fields
from gateway.core.dialects.gemini.wire import camel, listed

_COUNTS = frozenset(
    {"minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"}
)
_NAMES = {"defs": "$defs", "ref": "$ref", "example": "examples"}
_KEPT_APART = frozenset({"nullable", "propertyOrdering"})


def to_json_schema(schema: Json, path: str) -> Json:
    """The schema in full. Raises BadRequest with the path of what is wrong."""
    given = {camel(name): value for name, value in schema.items() if value is not None}
    out: Json = {}
    for name, value in given.items():
        if name in _KEPT_APART or (name, value) == ("format", "enum"):
            continue
        found = _member(name, value, given, f"{path}.{name}")
        if found is not None:
            out[_NAMES.get(name, name)] = found
    return _nullable(out) if given.get("nullable") is True else out


def _member(name: str, value: object, given: Json, path: str) -> object:
    match name:
        case "type":
            return _type(value, path)
        case "properties":
            return _properties(value, given.get("propertyOrdering"), path)
        case "defs" | "$defs":
            return _properties(value, None, path)
        case "items" | "additionalProperties" if isinstance(value, dict):
            return to_json_schema(value, path)
        case "anyOf" | "oneOf" | "allOf" | "prefixItems":
            return [
                to_json_schema(_object(item, f"{path}[{index}]"), f"{path}[{index}]")
                for index, item in enumerate(listed(value, path))
            ]
        case "example":
            return [value]
        case _ if name in _COUNTS and isinstance(value, str):
            if not (value.isascii() and value.isdigit() and len(value) < 20):
                raise fields.wrong_type(path, "a whole number")
            return int(value)
        case _:
            return value


def _type(value: object, path: str) -> object:
    if isinstance(value, list):  # as JSON Schema has it: some clients send that
        return [_type(item, path) for item in value]
    if not isinstance(value, str):
        raise fields.wrong_type(path, "a string")
    return None if value == "TYPE_UNSPECIFIED" else value.lower()


def _properties(value: object, ordering: object, path: str) -> Json:
    properties = _object(value, path)
    order = ordering if isinstance(ordering, list) else []
    first = [name for name in order if isinstance(name, str) and name in properties]
    return {
        name: to_json_schema(_object(properties[name], f"{path}.{name}"), f"{path}.{name}")
        for name in dict.fromkeys([*first, *properties])
    }


def _object(value: object, path: str) -> Json:
    return fields.required(fields.members(value, path), path)


def _nullable(schema: Json) -> Json:
    kind = schema.get("type")
    if isinstance(kind, str) and kind != "null":
        schema["type"] = [kind, "null"]
    elif isinstance(any_of := schema.get("anyOf"), list):
        schema["anyOf"] = [*any_of, {"type": "null"}]
    if isinstance(values := schema.get("enum"), list) and None not in values:
        schema["enum"] = [*values, None]
    return schema
