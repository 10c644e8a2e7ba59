"""One candidate of an answer as it comes: parts made of the pieces that its events carry.

A text or a thought grows while pieces of its kind come, a call comes whole, and a signature ends
what it signs. Sources come with the last event, their positions in bytes of all the text, which is
kept for that: it is known only there where its characters begin.
"""

from dataclasses import replace

from gateway.core.answers import ChatEvent, Cited, PartDelta, PartEnded, PartSigned, PartStarted
from gateway.core.conversation import Citation, Json, Reasoning, Text, ToolCall
from gateway.core.dialect import Malformed
from gateway.core.dialects.gemini.calls import arguments_text, made_id
from gateway.core.dialects.gemini.citations import (
    Found,
    Segment,
    characters,
    read_citations,
)
from gateway.core.dialects.gemini.shapes import items, object_of, text_of
from gateway.core.dialects.gemini.wire import NAME


class Choice:
    """`finish`: the last reason given; older models give one with every event."""

    def __init__(self, index: int, answer_id: str | None) -> None:
        self.finish: str | None = None
        self.has_calls = False
        self._index = index
        self._answer_id = answer_id or ""
        self._count = 0
        self._open: type[Text | Reasoning] | None = None
        self._pieces: list[str] = []  # of the open text, as its events brought them
        self._length = 0  # of these without the last
        self._texts = 0  # how many texts there were
        self._has_text = False  # before this event
        self._cited: set[Citation] = set()

    def read(self, candidate: Json) -> list[ChatEvent]:
        """What one event says of this candidate. Raises Malformed."""
        content = object_of(candidate.get("content"))
        parts = [object_of(part) for part in items(content.get("parts"))]
        texts = [number for number, part in enumerate(parts) if _is_text(part)]
        places: dict[int, list[tuple[Found, bool]]] = {}
        for found in read_citations(candidate):
            segment = found[1]
            is_in_piece = segment is not None and segment.part in texts and not self._has_text
            last = texts[-1] if texts else -1
            place = segment.part if segment is not None and is_in_piece else last
            places.setdefault(place, []).append((found, is_in_piece))
        events = self._cite(places.get(-1, []))
        for number, part in enumerate(parts):
            events += self._part(part, places.get(number, []))
        self._has_text = self._has_text or bool(texts)
        return events

    def _part(self, part: Json, sources: list[tuple[Found, bool]]) -> list[ChatEvent]:
        signature = text_of(part.get("thoughtSignature"))
        if (call := part.get("functionCall")) is not None:
            return self._call(object_of(call), signature)
        if part.get("inlineData") is not None:
            raise Malformed("a medium in an answer")  # no request that is translated asks for one
        text = text_of(part.get("text"))
        if text is None and signature is None:
            return []  # what Google's own tools did
        kind = Reasoning if part.get("thought") is True else Text
        events = self._grow(kind, text) if text else []
        events += self._cite(sources)
        return events + self._sign(signature) if signature else events

    def _cite(self, sources: list[tuple[Found, bool]]) -> list[ChatEvent]:
        """Sources of the text that is open, or of an empty one."""
        events: list[ChatEvent] = []
        for (citation, segment), is_in_piece in sources:
            if self._open is not Text:
                events += self._begin(Text)
            placed = citation
            if segment is not None:
                placed = self._placed(citation, segment, is_in_piece=is_in_piece)
            if placed not in self._cited:  # servers repeat in each event what they know so far
                self._cited.add(placed)
                events.append(Cited(self._index, self._count - 1, placed))
        return events

    def _placed(self, citation: Citation, segment: Segment, *, is_in_piece: bool) -> Citation:
        start, end = [
            self._in_piece(position) if is_in_piece else self._in_all(position)
            for position in (segment.start, segment.end)
        ]
        if start is None or end is None:
            return citation
        return replace(citation, start=start, end=end)

    def _in_piece(self, position: int) -> int | None:
        found = characters(self._pieces[-1] if self._pieces else "", position)
        return None if found is None else self._length + found

    def _in_all(self, position: int) -> int | None:
        return characters("".join(self._pieces), position) if self._texts == 1 else None

    def close(self) -> list[ChatEvent]:
        if self._open is None:
            return []
        self._open = None
        return [PartEnded(self._index, self._count - 1)]

    def _begin(self, kind: type[Text | Reasoning]) -> list[ChatEvent]:
        events = self.close()
        self._open, self._length, self._pieces = kind, 0, []
        started = Text("") if kind is Text else Reasoning(origin=NAME)
        events.append(PartStarted(self._index, self._count, started))
        self._count += 1
        self._texts += kind is Text
        return events

    def _grow(self, kind: type[Text | Reasoning], text: str) -> list[ChatEvent]:
        events = [] if self._open is kind else self._begin(kind)
        if self._pieces:
            self._length += len(self._pieces[-1])
        self._pieces.append(text)
        events.append(PartDelta(self._index, self._count - 1, text))
        return events

    def _sign(self, signature: str) -> list[ChatEvent]:
        events = [] if self._open is Reasoning else self._begin(Reasoning)
        events.append(PartSigned(self._index, self._count - 1, signature))
        return events + self.close()

    def _call(self, call: Json, signature: str | None) -> list[ChatEvent]:
        name, args = text_of(call.get("name")), call.get("args")
        if not name:
            raise Malformed("a call without a name")
        try:
            arguments = "" if args is None else arguments_text(object_of(args))
        except ValueError as error:
            raise Malformed("arguments that are not JSON") from error
        events = self.close()
        number, self.has_calls = self._count, True
        self._count += 1
        id_ = text_of(call.get("id")) or made_id(
            self._answer_id, self._index, number, name, arguments
        )
        started = ToolCall(id_, name, "", signature, NAME if signature else None)
        events.append(PartStarted(self._index, number, started))
        if arguments:
            events.append(PartDelta(self._index, number, arguments))
        events.append(PartEnded(self._index, number))
        return events


def _is_text(part: Json) -> bool:
    return bool(part.get("text")) and part.get("thought") is not True
