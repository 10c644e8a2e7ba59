"""Reading a client's JSON member by member: a wrong one is a BadRequest that names its path.

`None` stands for absent and for null alike: clients send either.
"""

from collections.abc import Callable, Mapping

from gateway.core import jsontext
from gateway.core.conversation import Json
from gateway.core.errors import BadRequest
from gateway.core.jsontext import JsonError, JsonObject

# By member: the types that it may have, and what to call them.
type Types = Mapping[str, tuple[tuple[type, ...], str]]


def missing(path: str) -> BadRequest:
    return BadRequest(f"'{path}' is missing.", code="missing_required_parameter", param=path)


def wrong_type(path: str, expected: str) -> BadRequest:
    return BadRequest(f"'{path}' must be {expected}.", code="invalid_type", param=path)


def wrong_value(path: str, expected: str) -> BadRequest:
    return BadRequest(f"'{path}' {expected}.", code="invalid_value", param=path)


def body_object(body: bytes, types: Types) -> JsonObject:
    """The object in a request's body, its members of these types where they are there."""
    try:
        source = jsontext.parse_object(body)
    except JsonError as error:
        raise BadRequest(
            f"The request body is not valid JSON: {error}.", code="invalid_json"
        ) from None
    for name, value in source.values.items():
        if value is not None and (expected := types.get(name)):
            kinds, words = expected
            if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
                raise wrong_type(name, words)
    return source


def filled(values: Mapping[str, object], name: str) -> list[object]:
    """An array of messages, with at least one."""
    found = required(items(values.get(name), name), name)
    if not found:
        raise BadRequest(
            f"'{name}' is empty: send at least one message.", code="empty_array", param=name
        )
    return found


def string(value: object, path: str) -> str | None:
    if value is None or isinstance(value, str):
        return value
    raise wrong_type(path, "a string")


def boolean(value: object, path: str) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    raise wrong_type(path, "true or false")


def integer(value: object, path: str) -> int | None:
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise wrong_type(path, "a whole number")


def number(value: object, path: str) -> float | None:
    if value is None or (isinstance(value, (int, float)) and not isinstance(value, bool)):
        return value
    raise wrong_type(path, "a number")


def members(value: object, path: str) -> Json | None:
    if value is None or isinstance(value, dict):
        return value
    raise wrong_type(path, "an object")


def items(value: object, path: str) -> list[object] | None:
    if value is None or isinstance(value, list):
        return value
    raise wrong_type(path, "an array")


def each[T](value: object, path: str, read: Callable[[Json, str], T]) -> tuple[T, ...]:
    """`read(item, path)` of each object of an array; none where there is no array."""
    found: list[T] = []
    for index, item in enumerate(items(value, path) or ()):
        if not isinstance(item, dict):
            raise wrong_type(f"{path}[{index}]", "an object")
        found.append(read(item, f"{path}[{index}]"))
    return tuple(found)


def required[T](value: T | None, path: str) -> T:
    if value is None:
        raise missing(path)
    return value
