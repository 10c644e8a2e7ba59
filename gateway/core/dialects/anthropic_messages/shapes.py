"""A provider's JSON, member by member: a wrong type is Malformed; null is as good as absent."""

from gateway.core import jsontext
from gateway.core.conversation import Json
from gateway.core.dialect import Malformed
from gateway.core.jsontext import JsonError


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


def index(values: Json, name: str) -> int:
    value = values.get(name)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise Malformed(f"'{name}' is not a whole number")


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
