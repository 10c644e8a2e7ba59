"""Whether a stream moves: the tokens it says, over the last seconds.

Tokens are guessed from what an event says, never from its size: a frame of 300 bytes around each
token is usual. An event says at least one, and may say many.
"""

from dataclasses import dataclass, field

from gateway.core import jsontext
from gateway.core.jsontext import JsonError

WINDOW_SECONDS = 10.0
CHARACTERS_A_TOKEN = 4
# Where the dialects have what is said: choices[].delta, delta, candidates[].content.
_SAID = ("delta", "content")
_LISTS = ("choices", "candidates")
_DEPTH = 8  # levels of a delta that are looked at; a tool call's arguments are three deep


@dataclass(slots=True)
class Pace:
    """`least` in tokens a second; 0: any pace will do."""

    least: float
    _since: float | None = None
    _tokens: float = field(default=0.0)

    def is_too_slow(self, now: float, data: bytes) -> bool:
        """Counts an event with content, by its data; whether the window that ends with it had too
        few. `now` in monotonic seconds."""
        if not self.least:
            return False
        if self._since is None:
            self._since = now
        took = now - self._since
        is_slow = took >= WINDOW_SECONDS and self._tokens < self.least * took
        self._tokens += max(1.0, characters(data) / CHARACTERS_A_TOKEN)
        if took >= WINDOW_SECONDS:
            self._since, self._tokens = now, 0.0
        return is_slow


def characters(data: bytes) -> int:
    """How much an event says; 0 for what is no event of a dialect."""
    try:
        value = jsontext.parse(data)
    except JsonError:
        return 0
    if not isinstance(value, dict):
        return 0
    members: list[object] = [value]
    for name in _LISTS:
        rows = value.get(name)
        members += rows if isinstance(rows, list) else []
    found = [row.get(name) for row in members if isinstance(row, dict) for name in _SAID]
    return sum([_length(each, _DEPTH) for each in found])


def _length(value: object, depth: int) -> int:
    if isinstance(value, str):
        return len(value)
    if depth and isinstance(value, dict):
        value = list(value.values())
    if depth and isinstance(value, list):
        return sum([_length(each, depth - 1) for each in value])
    return 0
