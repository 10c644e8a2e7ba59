"""A provider's stream, read.

Facts: https://platform.openai.com/docs/api-reference/responses-streaming. Undocumented and sent all
the same: `keepalive` (https://github.com/openai/openai-node/issues/1964), `obfuscation` on deltas,
an `error` event before `response.failed`; some servers end with `[DONE]`. Item ids may differ from
event to event: what belongs together has the same place (`parts_in.py`).

Rules: a part starts when it is added or, from servers that leave that out, with its first text;
what a `done` event holds is only used where nothing came before it. The stream is whole at
`response.completed` or `response.incomplete`, and nowhere else.
"""

from gateway.core.answers import ChatEvent, Done, Failed, Finished, Started, Used
from gateway.core.conversation import Json, Reasoning, Refusal, Text, ToolCall
from gateway.core.dialect import Malformed
from gateway.core.dialects import shapes
from gateway.core.dialects.openai_responses import errors
from gateway.core.dialects.openai_responses import output_items as items
from gateway.core.dialects.openai_responses.marks import NAME
from gateway.core.dialects.openai_responses.parts_in import Parts, Place
from gateway.core.dialects.openai_responses.response import read_finish
from gateway.core.dialects.openai_responses.usage import read_usage
from gateway.core.sse import SseEvent


class ResponsesReader:
    """Reads one answer: what it keeps of it is which parts there are, not what they say."""

    def __init__(self) -> None:
        self._parts = Parts()
        self._has_started = False
        self._is_done = False

    def read(self, event: SseEvent) -> list[ChatEvent]:
        """What an event says. Raises Malformed."""
        if self._is_done or not event.data or event.data == b"[DONE]":
            return []
        value = shapes.an_object(event.data)
        events = self._read(shapes.string(value, "type"), value)
        if events and not self._has_started and not isinstance(events[0], Failed):
            self._has_started = True  # by a server that does not say so
            events = [Started(), *events]
        return events

    def end(self) -> list[ChatEvent]:
        """Nothing is missing after the last event, and nothing replaces it."""
        return []

    def _read(self, kind: str | None, event: Json) -> list[ChatEvent]:
        match kind:
            case "response.output_text.delta":
                return self._said(event, Text(""))
            case "response.function_call_arguments.delta":
                return self._argued(event)
            case "response.reasoning_summary_text.delta":
                return self._thought(event, "summary_index")
            case "response.reasoning_text.delta":
                return self._thought(event, "content_index")
            case "response.refusal.delta":
                return self._said(event, Refusal(""))
            case "response.created" | "response.in_progress" | "response.queued":
                return self._start(event)
            case "response.output_item.added":
                return self._item_added(event)
            case "response.output_item.done":
                return self._item_done(_index(event), shapes.members(event, "item") or {})
            case "response.content_part.added":
                return self._part_added(event)
            case "response.content_part.done":
                return self._content(_place(event), shapes.members(event, "part") or {})
            case "response.output_text.annotation.added":
                return self._annotated(event)
            case "response.completed" | "response.incomplete":
                return self._complete(event)
            case "response.failed":
                return [errors.failure(_response(event).get("error"))]
            case "error":
                return [errors.failure(event.get("error") or {**event, "type": None})]
            case None if event.get("error"):  # a server's error, not its API's
                return [errors.failure(event["error"])]
            case _:
                return []

    # --- The whole -----------------------------------------------------------

    def _start(self, event: Json) -> list[ChatEvent]:
        if self._has_started:
            return []
        self._has_started = True
        response = _response(event)
        return [
            Started(
                shapes.string(response, "id"),
                shapes.string(response, "model"),
                shapes.seconds(response, "created_at"),
            )
        ]

    def _complete(self, event: Json) -> list[ChatEvent]:
        response = _response(event)
        events = self._start(event)
        if not self._parts:  # from servers that say all of it at the end
            for index, item in enumerate(shapes.objects(response, "output")):
                events += self._item_done(index, item)
        events += self._parts.end()
        finish = read_finish(
            response, has_calls=self._parts.has_calls, is_refused=self._parts.has_refused
        )
        if usage := read_usage(response.get("usage")):
            events.append(Used(usage))
        self._is_done = True
        return [*events, Finished(0, finish), Done()]

    # --- Items ---------------------------------------------------------------

    def _item_added(self, event: Json) -> list[ChatEvent]:
        item = shapes.members(event, "item") or {}
        if item.get("type") != "function_call":
            return []  # its parts say when they start
        return self._called((_index(event), 0), item)

    def _called(self, place: Place, item: Json) -> list[ChatEvent]:
        part, events = self._parts.new(place, items.read_call(item, ""))
        return events + part.whole(shapes.text(item, "arguments"))

    def _item_done(self, index: int, item: Json) -> list[ChatEvent]:
        match item.get("type"):
            case "message":
                events: list[ChatEvent] = []
                for number, content in enumerate(shapes.objects(item, "content")):
                    events += self._content((index, number), content)
                return events
            case "function_call":
                events = []
                part = self._parts.at((index, 0), ToolCall)
                if part is None:
                    part, events = self._parts.new((index, 0), items.read_call(item, ""))
                return [*events, *part.whole(shapes.text(item, "arguments")), *part.end()]
            case "reasoning":
                return self._reasoned((index, 0), item)
            case _:
                return []

    def _reasoned(self, place: Place, item: Json) -> list[ChatEvent]:
        """Reasoning is whole: its proof comes only now. Without text and proof it is nothing."""
        text, signature = items.reasoning_text(item), items.signature_of(item)
        part = self._parts.at(place, Reasoning)
        if part is None and not text and not signature:
            return []
        events: list[ChatEvent] = []
        if part is None:
            kind = Reasoning(id=shapes.string(item, "id"), origin=NAME)
            part, events = self._parts.new(place, kind)
        elif part.is_ended:
            return []
        return [*events, *part.whole(text), *part.signed(signature or ""), *part.end()]

    # --- Parts ---------------------------------------------------------------

    def _part_added(self, event: Json) -> list[ChatEvent]:
        content = items.read_content(shapes.members(event, "part") or {})
        return [] if content is None else self._parts.begin(_place(event), _empty(content))[1]

    def _content(self, place: Place, content: Json) -> list[ChatEvent]:
        """A part of a message is whole."""
        found = items.read_content(content)
        if found is None:
            return []
        part, events = self._parts.at(place, type(found)), list[ChatEvent]()
        if part is None:
            part, events = self._parts.new(place, _empty(found))
        elif part.is_ended:
            return []
        events += part.whole(found.text)
        events += part.all_logged(shapes.objects(content, "logprobs"))
        if isinstance(found, Text):
            for citation in found.citations[part.citations :]:
                events += part.cited(citation)
        return events + part.end()

    def _said(self, event: Json, kind: Text | Refusal) -> list[ChatEvent]:
        part, events = self._parts.begin(_place(event), kind)
        events += part.more(shapes.text(event, "delta"))
        return events + part.logged(shapes.objects(event, "logprobs"))

    def _annotated(self, event: Json) -> list[ChatEvent]:
        part = self._parts.at(_place(event), Text)
        found = shapes.members(event, "annotation")
        citation = items.read_annotation(found) if found else None
        if citation is None or part is None or part.is_ended:
            return []
        return part.cited(citation)

    def _thought(self, event: Json, member: str) -> list[ChatEvent]:
        kind = Reasoning(id=shapes.string(event, "item_id"), origin=NAME)
        part, events = self._parts.begin((_index(event), 0), kind)
        section = (member, shapes.index(event, member, absent=0))
        return events + part.thought(shapes.text(event, "delta"), section)

    def _argued(self, event: Json) -> list[ChatEvent]:
        part = self._parts.at((_index(event), 0), ToolCall)
        if part is None or part.is_ended:
            raise Malformed("arguments of a call that is not there")
        return part.more(shapes.text(event, "delta"))


def _empty(content: Text | Refusal) -> Text | Refusal:
    return Text("") if isinstance(content, Text) else Refusal("")


def _index(event: Json) -> int:
    return shapes.index(event, "output_index", absent=0)


def _place(event: Json) -> Place:
    return _index(event), shapes.index(event, "content_index", absent=0)


def _response(event: Json) -> Json:
    response = shapes.members(event, "response")
    if response is None:
        raise Malformed("an event without its response")
    return response
