"""A value that satisfies a JSON Schema, for schemas as applications send them.

Knows: type, enum, const, properties, required, items, minItems, anyOf and oneOf (one of their
branches), allOf, local $ref, the bounds of numbers, the length of strings. Leaves `pattern`,
`format` and `uniqueItems` unread. Optional properties are filled too, until they nest.
"""

import json
import math
from collections.abc import Mapping

# A schema may ask for more than anyone wants to hold: 10^9 items, or a tree of references.
# In characters of JSON, roughly; OpenAI takes schemas of 120 000 characters, ten levels deep.
MAX_SIZE = 1_000_000
MAX_ITEMS = 10_000
MAX_DEPTH = 64

# From here on only what is required, so that a schema that refers to itself comes to an end.
FULL_DEPTH = 4

type Schema = Mapping[str, object]


class NoSample(ValueError):
    """No value was found; the message says for which part of the schema."""


def sample(schema: Schema) -> object:
    """A value for `schema`, the same each time. Raises NoSample."""
    try:
        return _Sampler(schema).value(schema, 0)
    except (OverflowError, RecursionError) as error:
        raise NoSample("a number in the schema is too large, or a value too deep") from error


class _Sampler:
    def __init__(self, root: Schema) -> None:
        self.root = root
        self.left = MAX_SIZE

    def spend(self, size: int) -> None:
        self.left -= size
        if self.left < 0:
            raise NoSample("the schema asks for too much")

    def value(self, schema: object, depth: int) -> object:
        self.spend(8)
        if depth > MAX_DEPTH:
            raise NoSample("the schema is too deep")
        if schema is True:
            return "mock"
        if not isinstance(schema, Mapping):
            raise NoSample(f"not a schema: {str(schema)[:80]}")
        if "const" in schema:
            return self._given(schema["const"])
        enum = schema.get("enum")
        if isinstance(enum, list) and enum:
            return self._given(enum[0])
        if isinstance(schema.get("$ref"), str):
            return self.value(self._referred(str(schema["$ref"])), depth + 1)
        for word in ("anyOf", "oneOf"):
            branches = schema.get(word)
            if isinstance(branches, list) and branches:
                ends = [branch for branch in branches if _is_null(branch)]
                chosen = ends[0] if ends and depth >= FULL_DEPTH else branches[0]
                return self.value(chosen, depth + 1)
        parts = schema.get("allOf")
        if isinstance(parts, list) and parts:
            return self.value(self._merged(schema, parts), depth + 1)
        return self._typed(schema, depth)

    def _given(self, value: object) -> object:
        self.spend(len(json.dumps(value)))
        return value

    def _typed(self, schema: Schema, depth: int) -> object:
        match _type(schema):
            case "object":
                return self._object(schema, depth)
            case "array":
                return self._array(schema, depth)
            case "string":
                return self._string(schema)
            case "integer" | "number" as kind:
                return _number(schema, whole=kind == "integer")
            case "boolean":
                return True
            case "null":
                return None
            case other:
                raise NoSample(f"no such type: {str(other)[:80]}")

    def _object(self, schema: Schema, depth: int) -> dict[str, object]:
        properties = schema.get("properties", {})
        required = schema.get("required", [])
        if (
            not isinstance(properties, Mapping)
            or not isinstance(required, list)
            or not all(isinstance(name, str) for name in required)
        ):
            raise NoSample("properties is an object and required a list of names")
        names = list(properties) if depth < FULL_DEPTH else []
        names += [name for name in required if name not in names]
        self.spend(sum(len(str(name)) for name in names))
        return {str(name): self.value(properties.get(name, True), depth + 1) for name in names}

    def _array(self, schema: Schema, depth: int) -> list[object]:
        least = schema.get("minItems", 0)
        most = schema.get("maxItems", MAX_ITEMS)
        if not isinstance(least, int) or not isinstance(most, int) or least > MAX_ITEMS:
            raise NoSample("minItems and maxItems are small whole numbers")
        count = min(max(least, 1 if depth < FULL_DEPTH else 0), most)
        return [self.value(schema.get("items", True), depth + 1) for _ in range(count)]

    def _string(self, schema: Schema) -> str:
        least, most = schema.get("minLength", 0), schema.get("maxLength", MAX_SIZE)
        if not isinstance(least, int) or not isinstance(most, int) or not least <= most:
            raise NoSample("minLength and maxLength are whole numbers, in this order")
        self.spend(least)
        return "mock".ljust(least, "k")[: max(most, 0)]

    def _referred(self, ref: str) -> object:
        found: object = self.root
        if not ref.startswith("#"):
            raise NoSample(f"not a local reference: {ref[:80]}")
        for part in ref.split("/")[1:]:
            name = part.replace("~1", "/").replace("~0", "~")
            if not isinstance(found, Mapping) or name not in found:
                raise NoSample(f"nothing at {ref[:80]}")
            found = found[name]
        return found

    def _merged(self, schema: Schema, parts: list[object]) -> Schema:
        """All parts of allOf as one schema: properties and required add up, else the last wins."""
        whole: dict[str, object] = {}
        for part in (schema, *parts):
            if isinstance(part, Mapping) and isinstance(part.get("$ref"), str):
                part = self._referred(str(part["$ref"]))  # noqa: PLW2901
            if not isinstance(part, Mapping):
                raise NoSample("allOf is a list of schemas")
            for word, value in part.items():
                before = whole.get(word)
                if isinstance(before, Mapping) and isinstance(value, Mapping):
                    whole[word] = {**before, **value}
                elif isinstance(before, list) and isinstance(value, list) and word == "required":
                    whole[word] = before + value
                elif word != "allOf":
                    whole[word] = value
        return whole


def _type(schema: Schema) -> object:
    match schema.get("type"):
        case [first, *_]:
            return first
        case None:
            if "properties" in schema:
                return "object"
            return "array" if "items" in schema else "string"
        case kind:
            return kind


def _is_null(schema: object) -> bool:
    return isinstance(schema, Mapping) and schema.get("type") == "null"


def _number(schema: Schema, *, whole: bool) -> float:
    """The first of some likely numbers that is within the bounds and divides."""

    def bound(word: str) -> float | None:
        number = schema.get(word)
        if isinstance(number, int | float) and not isinstance(number, bool):
            return number
        return None

    low, above = bound("minimum"), bound("exclusiveMinimum")
    high, below = bound("maximum"), bound("exclusiveMaximum")
    step = bound("multipleOf") or (1 if whole else None)
    lows = [b for b in (low, above) if b is not None]
    highs = [b for b in (high, below) if b is not None]
    likely: list[float] = [1, 0, *lows, *highs, *(b + 1 for b in lows), *(b - 1 for b in highs)]
    if lows and highs:
        likely.append((max(lows) + min(highs)) / 2)
    if step:
        likely += [step * math.ceil(b / step) for b in likely]
        likely += [step * (math.floor(b / step) + 1) for b in lows]
        likely += [step * (math.ceil(b / step) - 1) for b in highs]
    for number in likely:
        if (
            math.isfinite(number)
            and (low is None or number >= low)
            and (above is None or number > above)
            and (high is None or number <= high)
            and (below is None or number < below)
            and (not step or number % step == 0)
        ):
            return int(number) if whole else number
    raise NoSample(f"no number from {low or above} to {high or below}")
