"""Reading a client's JSON member by member: a wrong one is a BadRequest that names its path.

`None` stands for absent and for null alike: clients send either.
"""

from collections.abc import Callable

from gateway.core.conversation import Json
from gateway.core.errors import BadRequest


def missing(path: str) -> BadRequest:
    return BadRequest(f"'{path}' is missing.", code="missing_required_parameter", param=path)


def wrong_type(path: str, expected: str) -> BadRequest:
    return BadRequest(f"'{path}' must be {expected}.", code="invalid_type", param=path)


def wrong_value(path: str, expected: str) -> BadRequest:
    return BadRequest(f"'{path}' {expected}.", code="invalid_value", param=path)


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
