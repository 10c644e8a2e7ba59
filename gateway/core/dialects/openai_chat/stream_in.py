"""A provider's stream: its chunks as events.

Facts: https://platform.openai.com/docs/api-reference/chat-streaming. What is not said there: a
first chunk without choices (Azure's filter results); calls whole, without an index, and a later
chunk with nothing but their signature (Google's endpoint:
https://github.com/open-webui/computer/issues/224); several calls under index 0; ids and names
repeated in every fragment; `finish_reason` "" until the end, or said twice; comments to keep the
connection (OpenRouter, DeepSeek). Kept in memory: for each choice, what its open parts are.
"""

from dataclasses import dataclass, field, replace

from gateway.core import jsontext
from gateway.core.answers import (
    ChatEvent,
    Cited,
    Done,
    Failed,
    Logprobs,
    PartSigned,
    PartStarted,
    Started,
    Used,
)
from gateway.core.conversation import Citation, Json, Reasoning, Refusal, Text, ToolCall
from gateway.core.dialect import Malformed
from gateway.core.dialects.fields import each, integer, members, string
from gateway.core.dialects.notes import Notes
from gateway.core.dialects.openai_chat import reasoning
from gateway.core.dialects.openai_chat.answers import read_logprobs, stopped_by
from gateway.core.dialects.openai_chat.assistant import read_citations
from gateway.core.dialects.openai_chat.calls import made_id, read_arguments, read_signature
from gateway.core.dialects.openai_chat.content import read_content
from gateway.core.dialects.openai_chat.errors import code_of, error_message
from gateway.core.dialects.openai_chat.usage import read_usage
from gateway.core.dialects.openai_chat.words import FAILURES, NAME, read_finish
from gateway.core.dialects.parts import Parts
from gateway.core.errors import BadRequest
from gateway.core.jsontext import JsonError
from gateway.core.sse import SseEvent

_MAX_CHOICES = 128  # OpenAI's limit of `n`


@dataclass(slots=True)
class _Call:
    key: int
    id: str | None
    part: int


@dataclass(slots=True)
class _Choice:
    """Where a choice stands. `thought`: the reasoning that is open, its key and signature."""

    index: int
    calls: dict[int, _Call] = field(default_factory=dict)  # by the provider's index
    last_call: _Call | None = None
    call_count: int = 0
    spare_id: str | None = None  # of a call whose name is still to come
    thought: tuple[object, str] | None = None
    text: int = -1  # the latest part of text, and where in all of it this begins
    said: int = 0  # characters of text so far
    text_from: int = 0
    has_refused: bool = False
    is_finished: bool = False


class ChunkReader:
    """The dialect's `EventReader`. `Done` is at `[DONE]`, if each choice had its finish reason."""

    def __init__(self) -> None:
        self._parts = Parts()
        self._choices: dict[int, _Choice] = {}
        self._id: str | None = None
        self._has_started = False
        self._is_done = False

    def read(self, event: SseEvent) -> list[ChatEvent]:
        data = event.data.strip()
        if not data or self._is_done:
            return []
        if data == b"[DONE]":
            self._is_done = bool(self._choices) and all(
                choice.is_finished for choice in self._choices.values()
            )
            return [Done()] if self._is_done else []
        try:
            return self._chunk(jsontext.parse(data))
        except (JsonError, BadRequest) as error:
            raise Malformed(str(error)) from None

    def end(self) -> list[ChatEvent]:
        return []

    def _chunk(self, chunk: object) -> list[ChatEvent]:
        if not isinstance(chunk, dict):
            raise Malformed("it is not an object")
        if error := chunk.get("error"):
            about = error if isinstance(error, dict) else {}
            kind = about.get("type")
            return [
                Failed(
                    error_message(error), kind if isinstance(kind, str) else None, code_of(about)
                )
            ]
        if not isinstance(chunk.get("choices"), list):
            raise Malformed("it has no choices")
        usage = read_usage(chunk.get("usage"))
        events: list[ChatEvent] = []
        if not self._has_started and (chunk["choices"] or usage):
            self._has_started = True
            self._id = string(chunk.get("id"), "id") or None
            model = string(chunk.get("model"), "model") or None
            created = integer(chunk.get("created"), "created") or None
            events.append(Started(self._id, model, created))
        for found in each(chunk["choices"], "choices", self._choice):
            events += found
        if usage is not None:
            events.append(Used(usage))
        return events

    def _choice(self, item: Json, path: str) -> list[ChatEvent]:
        index = integer(item.get("index"), f"{path}.index") or 0
        if not 0 <= index < _MAX_CHOICES:
            raise Malformed("an index out of bounds")
        choice = self._choices.setdefault(index, _Choice(index))
        delta = members(item.get("delta"), f"{path}.delta") or {}
        events = self._delta(choice, delta, f"{path}.delta")
        if events and choice.is_finished:
            raise Malformed("a choice goes on after its end")
        if item.get("logprobs") and (items := read_logprobs(item, path)):
            events.append(Logprobs(index, items))
        word = string(item.get("finish_reason"), f"{path}.finish_reason")
        if word in FAILURES:
            return [*events, Failed(f"the provider stopped: {word}", code=word)]
        if word and not choice.is_finished:
            choice.is_finished = True
            events += self._end_thought(choice)
            finish = read_finish(
                word, has_calls=choice.call_count > 0, has_refusal=choice.has_refused
            )
            events += self._parts.finish(index, finish, stopped_by(item))
        return events

    def _delta(self, choice: _Choice, delta: Json, path: str) -> list[ChatEvent]:
        """Most chunks have one member: those that are empty are passed over at once."""
        events: list[ChatEvent] = []
        if details := delta.get(reasoning.DETAILS):
            for found in each(details, f"{path}.{reasoning.DETAILS}", _fragment):
                if found is not None:
                    events += self._thought(choice, *found)
        elif plain := reasoning.read_plain(delta, path):
            events += self._thought(choice, plain.signature, plain)
        content = delta.get("content")
        if isinstance(content, str):
            events += self._text(choice, content)
        elif content:
            for part in read_content(content, f"{path}.content", Notes()):
                if isinstance(part, Text):
                    events += self._text(choice, part.text)
                elif isinstance(part, Reasoning):
                    events += self._thought(choice, part.signature, part)
        if refusal := string(delta.get("refusal"), f"{path}.refusal"):
            choice.has_refused = True
            events += self._end_thought(choice)
            events += self._parts.text(choice.index, Refusal(""), refusal)
        if calls := delta.get("tool_calls"):
            for item, at in each(calls, f"{path}.tool_calls", lambda item, at: (item, at)):
                events += self._call(choice, item, at)
        if legacy := members(delta.get("function_call"), f"{path}.function_call"):
            events += self._call(choice, {"index": 0, "function": legacy}, path)
        if annotations := delta.get("annotations"):
            for citation in read_citations(annotations, f"{path}.annotations"):
                events += self._cited(choice, citation)
        return events

    # --- Text and reasoning ---

    def _text(self, choice: _Choice, text: str) -> list[ChatEvent]:
        if not text:
            return []
        events = self._end_thought(choice)
        events += self._parts.text(choice.index, Text(""), text)
        for event in events:
            if isinstance(event, PartStarted):
                choice.text, choice.text_from = event.part, choice.said
        choice.said += len(text)
        return events

    def _thought(self, choice: _Choice, key: object, part: Reasoning) -> list[ChatEvent]:
        """More of some reasoning. `key` tells it from other reasoning; its signature is said when
        it ends."""
        events: list[ChatEvent] = []
        if choice.thought is None or choice.thought[0] != key:
            events += self._end_thought(choice)
            events += self._parts.end(choice.index)
        start = replace(part, text="", signature=None, origin=NAME)
        events += self._parts.text(choice.index, start, part.text)
        if part.redacted:
            return events + self._parts.end(choice.index)
        signature = part.signature or ""
        if choice.thought and not reasoning.is_proof(signature):
            signature = choice.thought[1]
        choice.thought = (key, signature)
        return events

    def _end_thought(self, choice: _Choice) -> list[ChatEvent]:
        if choice.thought is None:
            return []
        events = self._parts.signed(choice.index, choice.thought[1])
        choice.thought = None
        return events + self._parts.end(choice.index)

    def _cited(self, choice: _Choice, citation: Citation) -> list[ChatEvent]:
        """At the text that is open: places count from its start. Behind it there is no text that a
        client could still show them at."""
        part = self._parts.current(choice.index)
        if part is None or part != choice.text:
            return []
        start, end = [
            None if place is None else max(0, place - choice.text_from)
            for place in (citation.start, citation.end)
        ]
        return [Cited(choice.index, part, replace(citation, start=start, end=end))]

    # --- Calls ---

    def _call(self, choice: _Choice, item: Json, path: str) -> list[ChatEvent]:
        function = members(item.get("function"), f"{path}.function") or {}
        name = string(function.get("name"), f"{path}.function.name") or None
        id_ = string(item.get("id"), f"{path}.id") or None
        arguments = read_arguments(function.get("arguments"), f"{path}.function.arguments")
        signature, origin = read_signature(item, path)
        number = integer(item.get("index"), f"{path}.index")
        call = choice.last_call if number is None else choice.calls.get(number)
        events = self._end_thought(choice)
        if name and _is_another(call, number, id_):
            key = choice.call_count
            choice.call_count += 1
            id_ = id_ or choice.spare_id or made_id(f"{self._id or ''}choices{choice.index}", key)
            choice.spare_id = None
            start = ToolCall(id_, name, "", signature, origin)
            events += self._parts.call(choice.index, key, start, arguments)
            part = next(found.part for found in events if isinstance(found, PartStarted))
            choice.last_call = call = _Call(key, id_, part)
            if number is not None:
                choice.calls[number] = call
            return events
        if call is None:
            if arguments:
                raise Malformed("arguments of a call that has no name")
            choice.spare_id = id_ or choice.spare_id
            return events
        choice.last_call = call
        events += self._parts.call(choice.index, call.key, None, arguments)
        if signature:
            events.append(PartSigned(choice.index, call.part, signature))
        return events


def _is_another(call: _Call | None, number: int | None, id: str | None) -> bool:
    """Whether a fragment with a name begins a call. Under an index only another id does; without
    one, whatever is not the last call again."""
    if call is None:
        return True
    return id != call.id if number is None else id not in (None, call.id)


def _fragment(entry: Json, path: str) -> tuple[object, Reasoning] | None:
    """Some of a detail, with what tells it from others."""
    part = reasoning.read_detail(entry, path)
    return None if part is None else ((entry.get("type"), entry.get("index")), part)
