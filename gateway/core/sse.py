"""Server-sent events: bytes in, events out (WHATWG HTML, section 9.2).

Rules: lines end in LF, CRLF or CR; a blank line ends an event; `data` lines join with LF; one space
after the colon is dropped; comments and unknown fields are skipped. An event keeps its raw bytes,
so that a relay can pass on exactly what it read. An event not complete yet is an empty list.
"""

import re
from dataclasses import dataclass

MAX_EVENT_BYTES = 8 * 1024 * 1024  # an event carries at most an inline image; nginx buffers 8k x 8

# A CR at the end of what was read so far may be half of a CRLF: it waits for the next byte.
_BLANK_LINE = re.compile(rb"(?:\r\n|\n|\r(?!\n))(?:\r\n|\n|\r(?!\n|\Z))")
_WAITING = re.compile(rb"[\r\n]\r\Z")  # a blank line whose CR turned out to be all of it
_BOM = b"\xef\xbb\xbf"


class SseError(ValueError):
    """The stream is not server-sent events as the gateway accepts them."""


class SseCut(SseError):
    """The stream ends in the middle of a line. `event` is what there is, as if it were whole."""

    def __init__(self, event: "SseEvent") -> None:
        super().__init__("the stream ends in the middle of an event")
        self.event = event


@dataclass(frozen=True, slots=True)
class SseEvent:
    """One event. `data` is empty for one without data, such as a keep-alive comment."""

    data: bytes
    raw: bytes


class SseDecoder:
    """Feed it chunks cut anywhere; it gives the events complete so far."""

    __slots__ = ("_held", "_is_start", "_size", "_tail")

    def __init__(self) -> None:
        self._held: list[bytes] = []  # joined once its event is whole, so that each byte moves once
        self._size = 0
        self._tail = b""  # of what is held, as much as can be part of a blank line
        self._is_start = True

    def feed(self, chunk: bytes) -> list[SseEvent]:
        """The events that end in this chunk. Raises SseError on an event over the limit."""
        seam = self._tail + chunk
        events: list[SseEvent] = []
        if self._is_start or _BLANK_LINE.search(seam):
            buffer = self._take() + chunk
            if self._is_start and not (len(buffer) < len(_BOM) and _BOM.startswith(buffer)):
                buffer = buffer.removeprefix(_BOM)
                self._is_start = False
            searched = max(0, len(buffer) - len(seam))
            start = 0
            while match := _BLANK_LINE.search(buffer, max(start, searched)):
                events.append(_event(buffer[start : match.end()]))
                start = match.end()
            chunk = seam = buffer[start:]
        self._held.append(chunk)
        self._size += len(chunk)
        self._tail = seam[-3:]
        if self._size > MAX_EVENT_BYTES:
            raise SseError(f"an event is over {MAX_EVENT_BYTES} bytes")
        return events

    def finish(self) -> list[SseEvent]:
        """The last event, if its blank line is missing. Raises SseCut if it ends in mid-line."""
        rest = self._take()
        if not rest.strip(b"\r\n"):
            return []
        event = _event(rest if _WAITING.search(rest) else rest + b"\r\n\r\n")
        if not rest.endswith((b"\n", b"\r")):
            raise SseCut(event)
        return [event]

    def _take(self) -> bytes:
        held = b"".join(self._held)
        self._held, self._size, self._tail = [], 0, b""
        return held


def encode(data: bytes) -> bytes:
    """One event with this data (no line breaks in it)."""
    return b"data: " + data + b"\n\n"


def _event(raw: bytes) -> SseEvent:
    data = [
        line[6:] if line.startswith(b"data: ") else line[5:]
        for line in raw.splitlines()
        if line.startswith(b"data:") or line == b"data"
    ]
    return SseEvent(b"\n".join(data), raw)
