"""Whether a schema for the answer can be kept to elsewhere as it is here.

Here every one is kept to (https://platform.claude.com/docs/en/build-with-claude/structured-outputs);
OpenAI does so in its strict mode only, which refuses a schema with more than it knows, or with a
member that may be absent (https://platform.openai.com/docs/guides/structured-outputs, "Supported
schemas").
"""

_WORDS = {
    "$schema", "$ref", "$defs", "definitions", "title", "description", "type", "enum", "const",
    "properties", "required", "additionalProperties", "items", "anyOf", "format",
}  # fmt: skip
_FORMATS = {
    "date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid",
}  # fmt: skip
_DEPTH = 10  # OpenAI's limit of objects in objects


def fits_strict_mode(schema: object) -> bool:
    """Whether OpenAI's strict mode takes it for an answer."""
    return isinstance(schema, dict) and schema.get("type") == "object" and _fits(schema, _DEPTH)


def _fits(schema: object, depth: int) -> bool:
    if not isinstance(schema, dict) or depth < 0 or not _WORDS.issuperset(schema):
        return False
    if "format" in schema and str(schema["format"]) not in _FORMATS:
        return False
    if schema.get("type") == "object" and not _is_closed(schema):
        return False
    inner = [schema["items"]] if "items" in schema else []
    for name in ("properties", "$defs", "definitions"):
        group = schema.get(name, {})
        if not isinstance(group, dict):
            return False
        inner += group.values()
    choices = schema.get("anyOf", [])
    return isinstance(choices, list) and all(_fits(part, depth - 1) for part in [*inner, *choices])


def _is_closed(schema: dict[str, object]) -> bool:
    """Whether an object has all of its members, and no others."""
    members, required = schema.get("properties", {}), schema.get("required", [])
    return (
        schema.get("additionalProperties") is False
        and isinstance(members, dict)
        and isinstance(required, list)
        and all(name in required for name in members)
    )
