"""A stream for a client: events as chunks.

The order is the one that OpenAI's SDKs gather (`openai/lib/streaming`): the choices begin in the
order of their indexes, each with its role; a call's id and name come once; each fragment of a call
has a `function`, each entry of a list its index; the usage has a chunk of its own with no choices,
for those who asked, and every other then says null. OpenAI's own citations have no index, since it
sends them at once; here they come one by one, and those SDKs fail on a second list without.
"""

import json
from dataclasses import dataclass, field, replace
from typing import assert_never

from gateway.core import sse
from gateway.core.answers import (
    ChatEvent,
    Cited,
    Done,
    Failed,
    Finished,
    Logprobs,
    PartDelta,
    PartEnded,
    PartSigned,
    PartStarted,
    Started,
    Used,
)
from gateway.core.chat import ChatRequest, Usage
from gateway.core.conversation import Citation, Json, Reasoning, Refusal, Text, ToolCall
from gateway.core.dialects.openai_chat import reasoning
from gateway.core.dialects.openai_chat.answers import is_legacy_client, write_logprobs
from gateway.core.dialects.openai_chat.assistant import write_citation
from gateway.core.dialects.openai_chat.calls import write_signature
from gateway.core.dialects.openai_chat.errors import error_event
from gateway.core.dialects.openai_chat.passing import DONE
from gateway.core.dialects.openai_chat.usage import write_usage
from gateway.core.dialects.openai_chat.words import NAME, write_finish
from gateway.core.errors import TiergateError


@dataclass(slots=True)
class _Part:
    """A part that is open. `index`: among the calls, or the reasoning, of its choice. `offset`: of
    a text in the message's; `citations`: those of all of it, which are said when it has ended.
    `is_empty`: nothing of it was written yet."""

    kind: Text | Reasoning | Refusal | ToolCall
    index: int = 0
    offset: int = 0
    is_empty: bool = True
    is_signed: bool = False
    citations: list[Citation] = field(default_factory=list)


@dataclass(slots=True)
class _Choice:
    parts: dict[int, _Part] = field(default_factory=dict)
    calls: int = 0
    thoughts: int = 0
    said: int = 0
    has_refused: bool = False
    citations: int = 0


class ChunkWriter:
    """The dialect's `EventWriter`."""

    def __init__(self, chat: ChatRequest) -> None:
        self._wants_usage = chat.wants_usage
        self._is_legacy = is_legacy_client(chat)
        self._started = Started()
        self._usage: Usage | None = None
        self._choices: dict[int, _Choice] = {}

    def write(self, event: ChatEvent) -> bytes:
        match event:
            case Started():
                self._started = event
                return b""
            case PartStarted():
                return self._begin(event.choice, event.kind) + self._part_started(event)
            case PartDelta():
                return self._part_delta(event)
            case PartSigned():
                return self._part_signed(event)
            case Cited():
                return self._cited(event)
            case PartEnded():
                return self._part_ended(event)
            case Logprobs():
                begun = self._begin(event.choice)
                logprobs = write_logprobs(event.items)
                return begun + self._chunk(event.choice, {}, logprobs=logprobs)
            case Used():
                self._usage = event.usage
                return b""
            case Finished():
                return self._begin(event.choice) + self._finished(event)
            case Done():
                return self._last()
            case Failed():
                return b""  # never given: see `fail`
            case _:
                assert_never(event)

    def fail(self, error: TiergateError) -> bytes:
        return error_event(error)

    def _begin(self, index: int, kind: object = None) -> bytes:
        """The roles of this choice and of those before it, if they are still to come. OpenAI's
        content is "" where text follows, and null before calls."""
        chunks: list[bytes] = []
        for missing in range(len(self._choices), index + 1):
            self._choices[missing] = _Choice()
            content = "" if missing == index and isinstance(kind, Text) else None
            chunks.append(self._chunk(missing, {"role": "assistant", "content": content}))
        return b"".join(chunks)

    def _part_started(self, event: PartStarted) -> bytes:
        choice, kind = self._choices[event.choice], event.kind
        part = choice.parts[event.part] = _Part(kind)
        match kind:
            case Text():
                part.offset = choice.said
                return self._text(event.choice, part, kind.text)
            case Refusal():
                choice.has_refused = True
                return self._text(event.choice, part, kind.text)
            case Reasoning():
                part.index = choice.thoughts
                choice.thoughts += 1
                return self._reasoning(event.choice, part, kind)
            case ToolCall():
                part.index = choice.calls
                choice.calls += 1
                part.is_empty = not kind.arguments
                return self._call_started(event.choice, part, kind)

    def _part_delta(self, event: PartDelta) -> bytes:
        part = self._choices[event.choice].parts[event.part]
        match part.kind:
            case Reasoning():
                return self._reasoning(event.choice, part, replace(part.kind, text=event.text))
            case ToolCall():
                part.is_empty = False
                return self._call(event.choice, part, event.text)
            case _:
                return self._text(event.choice, part, event.text)

    def _part_ended(self, event: PartEnded) -> bytes:
        """A call without arguments has an empty object: who reads them expects JSON."""
        part = self._choices[event.choice].parts.pop(event.part, None)
        if part and part.is_empty and isinstance(part.kind, ToolCall):
            return self._call(event.choice, part, "{}")
        return self._citations(event.choice, part, part.citations) if part else b""

    # --- Text and reasoning ---

    def _text(self, index: int, part: _Part, text: str) -> bytes:
        if not text:
            return b""
        if isinstance(part.kind, Refusal):
            return self._chunk(index, {"refusal": text})
        self._choices[index].said += len(text)
        return self._chunk(index, {"content": text})

    def _reasoning(self, index: int, part: _Part, more: Reasoning) -> bytes:
        """Another provider's stands twice, as OpenRouter's does: for people, and for the way back,
        where its signature will be."""
        delta: Json = {}
        if more.text:
            delta[reasoning.PLACES[0]] = more.text
        if more.origin not in {None, NAME} and (more.text or more.redacted or more.signature):
            is_first, part.is_empty = part.is_empty, False
            entry = more if is_first else replace(more, id=None, redacted=None, signature=None)
            part.is_signed = part.is_signed or bool(entry.signature)
            delta[reasoning.DETAILS] = [reasoning.sealed_detail(entry, part.index)]
        return self._chunk(index, delta) if delta else b""

    def _part_signed(self, event: PartSigned) -> bytes:
        part = self._choices[event.choice].parts.get(event.part)
        if part is None or not event.signature:
            return b""
        if isinstance(part.kind, ToolCall):
            signature = write_signature(event.signature, part.kind.origin)
            return self._call(event.choice, part, "", signature)
        if not isinstance(part.kind, Reasoning) or part.kind.origin in {None, NAME}:
            return b""
        # The seal is before the first piece of a signature; a client joins them.
        origin = NAME if part.is_signed else part.kind.origin
        id_ = part.kind.id if part.is_empty else None
        part.is_signed, part.is_empty = True, False
        signed = Reasoning(signature=event.signature, id=id_, origin=origin)
        entry = reasoning.sealed_detail(signed, part.index)
        return self._chunk(event.choice, {reasoning.DETAILS: [entry]})

    def _cited(self, event: Cited) -> bytes:
        part = self._choices[event.choice].parts.get(event.part)
        if part is None:
            return b""
        if event.citation.start is None or event.citation.end is None:
            part.citations.append(event.citation)
            return b""
        return self._citations(event.choice, part, [event.citation])

    def _citations(self, index: int, part: _Part, citations: list[Citation]) -> bytes:
        choice = self._choices[index]
        chunks: list[bytes] = []
        for citation in citations:
            written = write_citation(citation, part.offset, choice.said - part.offset)
            if written is not None:
                annotation = {**written, "index": choice.citations}
                choice.citations += 1
                chunks.append(self._chunk(index, {"annotations": [annotation]}))
        return b"".join(chunks)

    # --- Calls ---

    def _call_started(self, index: int, part: _Part, call: ToolCall) -> bytes:
        function = {"name": call.name, "arguments": call.arguments}
        if self._is_legacy:
            return self._chunk(index, {"function_call": function}) if part.index == 0 else b""
        entry: Json = {"index": part.index, "id": call.id, "type": "function", "function": function}
        if call.signature:
            entry |= write_signature(call.signature, call.origin)
        return self._chunk(index, {"tool_calls": [entry]})

    def _call(self, index: int, part: _Part, arguments: str, more: Json | None = None) -> bytes:
        function = {"arguments": arguments}
        if self._is_legacy:
            is_shown = part.index == 0 and arguments
            return self._chunk(index, {"function_call": function}) if is_shown else b""
        entry = {"index": part.index, "function": function, **(more or {})}
        return self._chunk(index, {"tool_calls": [entry]})

    # --- The end ---

    def _finished(self, event: Finished) -> bytes:
        choice = self._choices[event.choice]
        word = write_finish(event.finish, is_legacy=self._is_legacy, has_refusal=choice.has_refused)
        return self._chunk(event.choice, {}, finish=word)

    def _last(self) -> bytes:
        if not self._wants_usage or self._usage is None:
            return DONE
        chunk = {**self._head(), "choices": [], "usage": write_usage(self._usage)}
        return sse.encode(json.dumps(chunk).encode()) + DONE

    def _head(self) -> Json:
        return {
            "id": self._started.id or "",
            "object": "chat.completion.chunk",
            "created": self._started.created or 0,
            "model": self._started.model or "",
        }

    def _chunk(
        self, index: int, delta: Json, *, logprobs: Json | None = None, finish: str | None = None
    ) -> bytes:
        choice = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
        chunk = {**self._head(), "choices": [choice]}
        if self._wants_usage:
            chunk["usage"] = None
        return sse.encode(json.dumps(chunk).encode())
