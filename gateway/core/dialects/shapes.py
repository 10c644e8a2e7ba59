"""A provider's JSON, member by member: a wrong type is Malformed; null is as good as absent."""

import math

from gateway.core import jsontext
from gateway.core.conversation import Json
from gateway.core.dialect import Malformed
from gateway.core.jsontext import JsonError

_MAX_COUNT = 2**53  # the largest whole number that every JSON reader holds exactly


def an_object(data: bytes) -> Json:
    """The object that these bytes are. Raises Malformed."""
    try:
        value = jsontext.parse(data)
    except JsonError as error:
        raise Malformed(str(error)) from None
    if not isinstance(value, dict):
        raise Malformed("it is not an object")
    return value


def string(values: Json, name: str) -> str | None:
    value = values.get(name)
    if value is None or isinstance(value, str):
        return value
    raise Malformed(f"'{name}' is not a string")


def text(values: Json, name: str) -> str:
    return string(values, name) or ""


def index(values: Json, name: str, absent: int | None = None) -> int:
    """A position; `absent` where it is left out, if it may be."""
    value = values.get(name)
    if value is None and absent is not None:
        return absent
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise Malformed(f"'{name}' is not a whole number")


def seconds(values: Json, name: str) -> int | None:
    """A moment; some send it with a fraction."""
    value = values.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return int(value)


def count(value: object) -> int | None:
    """Tokens as a provider counted them; None for what is no count."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MAX_COUNT:
        return value
    return None


def members(values: Json, name: str) -> Json | None:
    value = values.get(name)
    if value is None or isinstance(value, dict):
        return value
    raise Malformed(f"'{name}' is not an object")


def objects(values: Json, name: str) -> list[Json]:
    value = values.get(name)
    if value is None:
        return []
    if isinstance(value, list) and all(isinstance(item, dict) for item in value):
        return value
    raise Malformed(f"'{name}' is not an array of objects")
