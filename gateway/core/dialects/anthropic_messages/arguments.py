"""The arguments of tool calls: an object here, text elsewhere, fragments of text in streams."""

import json
import re

from gateway.core import jsontext
from gateway.core.jsontext import JsonError

NONE = "{}"

_IN_STRING = re.compile(r'["\\]')
_OUTSIDE = re.compile(r'["{}\[\]]')


def to_text(value: object) -> str:
    """A call's `input` as text that any encoder takes."""
    text = json.dumps(value, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair stays an escape
        return json.dumps(value)
    return text


def from_text(text: str) -> object:
    """What a model wrote, or None if it is no JSON. Nothing at all means no arguments."""
    try:
        return jsontext.parse_strictly(text.strip().encode() or NONE.encode())
    except (JsonError, UnicodeEncodeError):
        return None


class Fragments:
    """Whether the fragments of an object or array make up all of it. What is no JSON may never."""

    __slots__ = ("_depth", "_has_begun", "_in_string", "_is_escaped")

    def __init__(self) -> None:
        self._depth = 0
        self._has_begun = self._in_string = self._is_escaped = False

    @property
    def is_whole(self) -> bool:
        return self._has_begun and self._depth <= 0 and not self._in_string

    def add(self, text: str) -> None:
        position = 1 if self._is_escaped and text else 0
        self._is_escaped = self._is_escaped and not text
        while found := (_IN_STRING if self._in_string else _OUTSIDE).search(text, position):
            position = found.end()
            match found[0]:
                case '"':
                    self._in_string = not self._in_string
                case "\\":
                    self._is_escaped = position == len(text)
                    position += 1
                case "{" | "[":
                    self._depth += 1
                    self._has_begun = True
                case _:
                    self._depth -= 1
