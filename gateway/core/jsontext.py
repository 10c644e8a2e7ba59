"""JSON from outside, read so that it can neither crash the instance nor change on its way through.

Rules: depth is checked before the parser sees a byte (a guest's stack overflow cannot be caught);
duplicate keys, NaN and numbers no double can hold are errors, since two readers of such a text
would disagree on what it says. A member is replaced in the text itself, so that every other byte
reaches the provider as the client wrote it.
"""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

MAX_DEPTH = 128  # serde_json's default, and what most providers accept; far above any real chat.
# Values in one text from a client or the store. A long agent conversation has some ten thousand;
# a million of them take the guest a second and 100 MB, and every stream in it waits.
MAX_VALUES = 500_000
MAX_ANSWER_VALUES = 4_000_000  # ten thousand tokens with twenty logprobs each have a million
MAX_MEMBERS = 1_000  # of the outermost object, which is walked here; a request has some twenty
MAX_DIGITS = 308  # of a whole number: what a double can still hold

_SPACE = " \t\n\r"
_PIECE = 64 * 1024  # characters of a text that are encoded at once
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")  # one in, one out, as signed bytes


class JsonError(ValueError):
    """The text is not JSON as the gateway accepts it; the message says why, without quoting it."""


@dataclass(frozen=True, slots=True)
class JsonObject:
    """A parsed object, with the bytes it came from and where each top-level value lies in them.

    The bytes and not their text: one emoji makes each character of a text four bytes.
    """

    data: bytes = field(repr=False)
    values: dict[str, object]
    spans: dict[str, tuple[int, int]]
    end: int  # offset of the closing brace

    def mentions(self, text: str) -> bool:
        """Whether these characters stand anywhere in it, names of members among them."""
        return text.encode() in self.data

    def replaced(self, members: Mapping[str, object]) -> bytes:
        """The bytes with these top-level members set, all else kept as it is."""
        edits: list[tuple[int, int, bytes]] = []
        added: list[str] = []
        for name, value in members.items():
            text = json.dumps(value)
            if span := self.spans.get(name):
                edits.append((*span, text.encode()))
            else:
                added.append(f"{json.dumps(name)}: {text}")
        if added:
            separator = ", " if self.spans else ""
            edits.append((self.end, self.end, (separator + ", ".join(added)).encode()))
        whole = memoryview(self.data)
        parts: list[bytes | memoryview] = []
        position = 0
        for start, stop, new in sorted(edits):
            parts += (whole[position:start], new)
            position = stop
        parts.append(whole[position:])
        return b"".join(parts)


def parse(data: bytes) -> object:
    """Any JSON value, to read something out of: what is passed on is the text. Raises JsonError."""
    text = _checked_text(data, MAX_ANSWER_VALUES)
    try:
        return json.loads(text)
    except ValueError as error:
        raise _syntax_error(error) from None


def parse_strictly(data: bytes) -> object:
    """Any JSON value that every reader reads alike. Raises JsonError."""
    text = _checked_text(data, MAX_VALUES)
    try:
        return _DECODER.decode(text)
    except JsonError:
        raise
    except ValueError as error:
        raise _syntax_error(error) from None


def parse_object(data: bytes) -> JsonObject:
    """A JSON object with the spans of its top-level values. Raises JsonError."""
    text = _checked_text(data, MAX_VALUES)
    try:
        values, spans, end = _walk_object(text)
    except JsonError:
        raise
    except StopIteration as stop:  # how the scanner says that no value begins here
        raise JsonError(f"expected a value at character {stop.value}") from None
    except (ValueError, IndexError) as error:
        raise _syntax_error(error) from None
    if len(text) != len(data):
        spans, end = _in_bytes(text, spans, end)
    return JsonObject(data, values, spans, end)


def is_too_deep(data: bytes, limit: int = MAX_DEPTH) -> bool:
    """Whether brackets nest deeper than `limit`, found without recursion and at the speed of C.

    Exact for JSON. For anything else it errs towards True, and never lets the parser go deeper:
    what the two see differently lies behind the parser's first error.
    """
    if data.count(b"[") + data.count(b"{") <= limit:
        return False
    marks = _outside_strings(data).translate(_STEPS, _NOT_BRACKETS)
    return max(accumulate(memoryview(marks).cast("b")), default=0) > limit


def _outside_strings(data: bytes) -> bytes:
    # Outside strings JSON has no backslash: without escapes, every second piece is outside.
    return b"".join(data.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')[::2])


def _checked_text(data: bytes, most: int) -> str:
    if len(data) > most and _values(data) > most and _values(_outside_strings(data)) > most:
        raise JsonError(f"it has more than {most} values")
    if is_too_deep(data):
        raise JsonError(f"it is nested deeper than {MAX_DEPTH} levels")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise JsonError(f"byte {error.start} is not valid UTF-8") from None


def _values(data: bytes) -> int:
    """At least as many as there are values: each but the first follows one of these."""
    return data.count(b",") + data.count(b"[") + data.count(b"{")


def _walk_object(
    text: str,
) -> tuple[dict[str, object], dict[str, tuple[int, int]], int]:
    """Its values, their spans and the closing brace's offset, in characters."""
    values: dict[str, object] = {}
    spans: dict[str, tuple[int, int]] = {}
    position = _skip(text, 0)
    if text[position] != "{":
        raise JsonError("it is not a JSON object")
    position = _skip(text, position + 1)
    while text[position] != "}":
        if text[position] != '"':
            raise JsonError(f"expected a key in quotes at character {position}")
        name, position = _scan(text, position)
        if name in values:
            raise JsonError(f"the key {json.dumps(name)[:80]} appears twice in one object")
        if len(values) == MAX_MEMBERS:
            raise JsonError(f"it has more than {MAX_MEMBERS} members")
        if text[position] in _SPACE:
            position = _skip(text, position)
        if text[position] != ":":
            raise JsonError(f"expected ':' at character {position}")
        start = position + 1
        if text[start] in _SPACE:
            start = _skip(text, start)
        values[name], position = _scan(text, start)
        spans[name] = (start, position)
        if text[position] in _SPACE:
            position = _skip(text, position)
        if text[position] == ",":
            position += 1
            if text[position] in _SPACE:
                position = _skip(text, position)
            if text[position] == "}":
                raise JsonError(f"a comma without a member at character {position}")
        elif text[position] != "}":
            raise JsonError(f"expected ',' or '}}' at character {position}")
    if text[position + 1 :].strip(_SPACE):
        raise JsonError(f"there is more after the object, from character {position + 1}")
    return values, spans, position


def _in_bytes(
    text: str, spans: Mapping[str, tuple[int, int]], end: int
) -> tuple[dict[str, tuple[int, int]], int]:
    """The same places, counted in bytes of UTF-8."""
    at = position = 0

    def bytes_until(stop: int) -> int:
        nonlocal at, position
        for start in range(position, stop, _PIECE):
            at += len(text[start : min(stop, start + _PIECE)].encode())
        position = stop
        return at

    found = {name: (bytes_until(start), bytes_until(stop)) for name, (start, stop) in spans.items()}
    return found, bytes_until(end)


def _skip(text: str, position: int) -> int:
    while text[position] in _SPACE:
        position += 1
    return position


def _syntax_error(error: Exception) -> JsonError:
    if isinstance(error, json.JSONDecodeError):
        return JsonError(f"{error.msg.rstrip()} at character {error.pos}")
    if isinstance(error, IndexError):
        return JsonError("it ends in the middle")
    return JsonError("it cannot be read")


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    values = dict(pairs)
    if len(values) != len(pairs):
        rest = dict(pairs)
        twice = next(name for name, _ in pairs if rest.pop(name, pairs) is pairs)
        raise JsonError(f"the key {json.dumps(twice)[:80]} appears twice in one object")
    return values


def _constant(name: str) -> object:
    raise JsonError(f"{name} is not JSON")


def _whole(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise JsonError("a number is too large")
    return int(text)


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise JsonError("a number is too large")
    return value


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique, parse_constant=_constant, parse_float=_finite, parse_int=_whole
)
# The scanner under `raw_decode`, in C, without a Python frame a value.
_scan: Callable[[str, int], tuple[Any, int]] = _DECODER.scan_once  # type: ignore[attr-defined]
