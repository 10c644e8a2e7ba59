"""A provider's stream, event by event.

Facts: https://platform.claude.com/docs/en/build-with-claude/streaming: `message_start`, then blocks
with an index each (`content_block_start`, deltas, `content_block_stop`), one or more
`message_delta` with the reason of the end and counts that replace earlier ones, `message_stop`;
`ping` and `error` anywhere; newer events are to be ignored. A call's `input` is {} at its start and
comes as fragments of text, of which one without arguments has none or an empty one; some servers
send it whole at the start.
"""

from dataclasses import dataclass

from gateway.core.answers import (
    ChatEvent,
    Cited,
    Done,
    Finished,
    PartDelta,
    PartEnded,
    PartSigned,
    PartStarted,
    Started,
    Used,
)
from gateway.core.conversation import Json, Reasoning, Refusal, Text, ToolCall
from gateway.core.dialect import Malformed
from gateway.core.dialects import shapes
from gateway.core.dialects.anthropic_messages import arguments
from gateway.core.dialects.anthropic_messages.answers import read_block, read_refusal
from gateway.core.dialects.anthropic_messages.citations import read_citation
from gateway.core.dialects.anthropic_messages.errors import failure
from gateway.core.dialects.anthropic_messages.usage import Counts
from gateway.core.dialects.anthropic_messages.words import read_finish
from gateway.core.sse import SseEvent


@dataclass(slots=True)
class _Block:
    """A block that is open; `part` is None for one that is left out."""

    part: int | None
    is_call: bool = False
    has_text: bool = False


class MessagesReader:
    """Reads one answer."""

    def __init__(self) -> None:
        self._counts = Counts()
        self._blocks: dict[int, _Block] = {}
        self._parts = 0
        self._has_started = self._has_finished = self._is_done = False

    def read(self, event: SseEvent) -> list[ChatEvent]:
        if not event.data or self._is_done:
            return []
        value = shapes.an_object(event.data)
        kind = shapes.string(value, "type")
        if kind == "error" or (kind is None and value.get("error")):
            return [failure(value.get("error"))]
        if kind is None:
            raise Malformed("an event without a type")
        match kind:
            case "message_start":
                return self._start(value)
            case "content_block_start" | "content_block_delta" | "content_block_stop":
                if not self._has_started or self._has_finished:
                    raise Malformed("a block outside the message")
                return self._block(kind, value)
            case "message_delta":
                return self._delta(value)
            case "message_stop":
                if not self._has_finished:
                    raise Malformed("the message stops without a reason")
                self._is_done = True
                return [Done()]
            case _:
                return []

    def end(self) -> list[ChatEvent]:
        """Nothing is left to say: the end is an event of its own."""
        return []

    def _start(self, value: Json) -> list[ChatEvent]:
        message = shapes.members(value, "message")
        if message is None or self._has_started:
            raise Malformed("a message starts within a message")
        self._has_started = True
        events: list[ChatEvent] = [
            Started(shapes.string(message, "id"), shapes.string(message, "model"))
        ]
        return events + self._used(message)

    def _block(self, kind: str, value: Json) -> list[ChatEvent]:
        index = shapes.index(value, "index")
        if kind == "content_block_start":
            return self._open(index, shapes.members(value, "content_block") or {})
        block = self._blocks.get(index)
        if block is None:
            raise Malformed("a block that is not open")
        if kind == "content_block_stop":
            del self._blocks[index]
            return self._close(block)
        if block.part is None:
            return []
        return self._grow(block, block.part, shapes.members(value, "delta") or {})

    def _open(self, index: int, content: Json) -> list[ChatEvent]:
        if index in self._blocks:
            raise Malformed("a block starts within itself")
        part = read_block(content)
        if part is None:
            self._blocks[index] = _Block(None)
            return []
        number = self._parts
        self._parts += 1
        kind, text = _split(part)
        self._blocks[index] = _Block(number, isinstance(part, ToolCall), bool(text))
        events: list[ChatEvent] = [PartStarted(0, number, kind)]
        if text:
            events.append(PartDelta(0, number, text))
        if isinstance(part, Text):
            events += [Cited(0, number, citation) for citation in part.citations]
        elif isinstance(part, Reasoning) and part.signature:
            events.append(PartSigned(0, number, part.signature))
        return events

    def _grow(self, block: _Block, number: int, delta: Json) -> list[ChatEvent]:
        match delta.get("type"):
            case "text_delta":
                text = shapes.text(delta, "text")
            case "thinking_delta":
                text = shapes.text(delta, "thinking")
            case "input_json_delta":
                text = shapes.text(delta, "partial_json")
            case "signature_delta":
                signature = shapes.text(delta, "signature")
                return [PartSigned(0, number, signature)] if signature else []
            case "citations_delta":
                citation = read_citation(shapes.members(delta, "citation") or {})
                return [Cited(0, number, citation)] if citation else []
            case _:
                return []
        if not text:
            return []
        block.has_text = True
        return [PartDelta(0, number, text)]

    def _close(self, block: _Block) -> list[ChatEvent]:
        if block.part is None:
            return []
        events: list[ChatEvent] = []
        if block.is_call and not block.has_text:
            events.append(PartDelta(0, block.part, arguments.NONE))
        return [*events, PartEnded(0, block.part)]

    def _delta(self, value: Json) -> list[ChatEvent]:
        if not self._has_started:
            raise Malformed("an end before the message")
        events = self._used(value)
        delta = shapes.members(value, "delta") or {}
        reason = shapes.string(delta, "stop_reason")
        stopped_by = shapes.string(delta, "stop_sequence")
        if reason is None or self._has_finished:
            return events
        self._has_finished = True
        for block in self._blocks.values():
            events += self._close(block)
        self._blocks.clear()
        for refusal in read_refusal(delta):
            number = self._parts
            events.append(PartStarted(0, number, Refusal("")))
            events += [PartDelta(0, number, refusal.text), PartEnded(0, number)]
        return [*events, Finished(0, read_finish(reason), stopped_by)]

    def _used(self, value: Json) -> list[ChatEvent]:
        usage = self._counts.add(value.get("usage"))
        return [Used(usage)] if usage else []


def _split(part: Text | Reasoning | ToolCall) -> tuple[Text | Reasoning | ToolCall, str]:
    """A part as it starts, and the text that it starts with."""
    match part:
        case Text():
            return Text(""), part.text
        case Reasoning():
            return Reasoning(redacted=part.redacted, origin=part.origin), part.text
        case ToolCall():
            has_input = part.arguments != arguments.NONE
            return ToolCall(part.id, part.name), part.arguments if has_input else ""
