"""A provider's JSON read by its shape: a wrong one is Malformed. Null is as good as absent."""

from gateway.core.conversation import Json
from gateway.core.dialect import Malformed


def object_of(value: object) -> Json:
    if value is None:
        return {}
    if isinstance(value, dict):
        return value
    raise Malformed("not an object")


def items(value: object) -> list[object]:
    if value is None:
        return []
    if isinstance(value, list):
        return value
    raise Malformed("not an array")


def text_of(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    raise Malformed("not a string")


def count_of(value: object) -> int | None:
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 0):
        return value
    raise Malformed("not a count")
