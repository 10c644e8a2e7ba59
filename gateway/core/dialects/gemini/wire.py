"""Names of the wire format, and a client's JSON read by them.

Facts: a request is a protobuf message in JSON (https://protobuf.dev/programming-guides/json/), so
each member may be spelt in camelCase or in snake_case, and a whole number may have a fraction of
zero. The API also takes one object where it documents a list of them; Google's own examples do so
(https://ai.google.dev/gemini-api/docs/text-generation, `"parts": {"text": ...}`).
"""

import re
from collections.abc import Container
from functools import lru_cache

from gateway.core.conversation import Json
from gateway.core.dialects import fields
from gateway.core.dialects.notes import Notes

NAME = "gemini"

_CAPITAL = re.compile("([A-Z])")
# What the Python SDK sends: https://github.com/googleapis/python-genai, _common.py,
# encode_unserializable_types. The API takes both alphabets, other providers the first only.
_STANDARD = str.maketrans("-_", "+/")


@lru_cache(maxsize=256)
def snake(name: str) -> str:
    return _CAPITAL.sub(r"_\1", name).lower()


@lru_cache(maxsize=256)
def camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join([word[:1].upper() + word[1:] for word in rest]) if head else name


def get(values: Json, name: str) -> object:
    """The member in either spelling; None where it is absent or null."""
    found = values.get(name)
    return values.get(snake(name)) if found is None else found


def listed(value: object, path: str) -> list[object]:
    """A list, or the one object that stands for it."""
    return [value] if isinstance(value, dict) else fields.items(value, path) or []


def standard_base64(data: str) -> str:
    """Base64 in the alphabet that every provider takes."""
    return data.translate(_STANDARD)


class Members:
    """An object of a client's, and its path. Every reader raises BadRequest with the path of the
    member in the client's own spelling."""

    __slots__ = ("path", "values")

    def __init__(self, values: Json, path: str = "") -> None:
        self.values = values
        self.path = path

    def get(self, name: str) -> object:
        return get(self.values, name)

    def at(self, name: str) -> str:
        said = name if self.values.get(name) is not None else snake(name)
        said = said if said in self.values else name
        return f"{self.path}.{said}" if self.path else said

    def string(self, name: str) -> str | None:
        return fields.string(self.get(name), self.at(name))

    def required(self, name: str) -> str:
        return fields.required(self.string(name), self.at(name))

    def boolean(self, name: str) -> bool | None:
        return fields.boolean(self.get(name), self.at(name))

    def number(self, name: str) -> float | None:
        return fields.number(self.get(name), self.at(name))

    def integer(self, name: str) -> int | None:
        value = self.get(name)
        if isinstance(value, float) and value.is_integer():
            return int(value)
        return fields.integer(value, self.at(name))

    def json(self, name: str) -> Json | None:
        return fields.members(self.get(name), self.at(name))

    def strings(self, name: str) -> tuple[str, ...]:
        path = self.at(name)
        found = fields.items(self.get(name), path) or []
        return tuple(
            [
                fields.required(fields.string(item, f"{path}[{index}]"), f"{path}[{index}]")
                for index, item in enumerate(found)
            ]
        )

    def members(self, name: str) -> "Members | None":
        found = self.json(name)
        return None if found is None else Members(found, self.at(name))

    def each(self, name: str) -> "list[Members]":
        path = self.at(name)
        found: list[Members] = []
        for index, item in enumerate(listed(self.get(name), path)):
            at = f"{path}[{index}]"
            found.append(Members(fields.required(fields.members(item, at), at), at))
        return found

    def rest(self, known: Container[str], notes: Notes) -> None:
        """Members that are not known: nobody can say whether they may be left out. An empty list
        says nothing, but an empty object may: `{"googleSearch": {}}`."""
        said = {name: value for name, value in self.values.items() if value != []}
        notes.rest(said, {name for name in said if camel(name) in known}, self.path)
